"""Refuse senders whose domain does not permit the client (SPF, RFC 7208), with pyspf.

    [[plugin]]
    use = "plugins/spf_check.py"
    unless = { authenticated = true }

Install it with `pip install pyspf dnspython`. It blocks, so it runs in threads of this plugin. It
uses the name servers of the system, for at most 20 seconds. The explanation of pyspf is not in the
reply, because it can contain addresses of name servers.
"""

# pyspf has no types.
# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import spf

from gatepost import Address, Decision, Plugin, Transaction, blocking, defer, deny


class SpfCheck(Plugin):
    """Adds the result `spf`, refuses at "fail" and defers at "temperror"."""

    @blocking
    def on_mail(self, tx: Transaction, sender: Address) -> Decision | None:
        """Check the sender, or the name in EHLO if the reverse-path is null."""
        result, _ = spf.check2(i=tx.session.peer.host, s=str(sender), h=tx.session.helo)
        tx.results.add("spf", result, mailfrom=str(sender), helo=tx.session.helo)
        refuse = {"fail": deny, "temperror": defer}.get(result)
        return refuse(f"SPF result: {result}", reason=f"spf-{result}") if refuse else None
