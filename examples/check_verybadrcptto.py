"""Refuse a whole message at DATA because one of its recipients is a honeypot address.

A port of the qpsmtpd plugin `check_verybadrcptto`: same list, same reply, same second of delay. It
trusts nothing the client says. Because `observe_rcpt` runs before any plugin may answer, it does
not have to come first. It reads its list once, at start; the server's own `[traps]` does more.
"""

from pathlib import Path

from gatepost import Decision, Plugin, Recipient, Transaction, deny

TEXT = (
    "sorry, one or more of the recipients has flagged this e-mail as unsolicited bulk/commercial "
    "e-mail which is contrary to our acceptable e-mail use policy - spam score exceeded threshold"
)


class CheckVeryBadRcptTo(Plugin):
    """Notes a very bad recipient at RCPT, refuses at DATA."""

    class Options(Plugin.Options):
        """`file` has one address a line; what follows the address is a note."""

        file: str = "verybadrcptto"

    async def start(self) -> None:
        """Read the list."""
        lines = Path(self.options.file).read_text().splitlines()  # noqa: ASYNC240 - once, at start
        self.bad = {line.split()[0].lower() for line in lines if line.strip()}

    def observe_rcpt(self, tx: Transaction, rcpt: Recipient) -> None:
        """Note a very bad recipient, whatever the others make of it."""
        if f"{rcpt.address.local}@{rcpt.address.domain}".lower() in self.bad:
            tx.notes["verybadrcptto"] = True

    def on_data(self, tx: Transaction) -> Decision | None:
        """Refuse for everybody if one was noted."""
        if not tx.notes.get("verybadrcptto"):
            return None
        return deny(TEXT, code=554, enhanced="5.6.1", reason="verybadrcptto", delay=1)
