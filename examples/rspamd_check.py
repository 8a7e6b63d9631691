"""Check messages with rspamd, and do what it recommends.

    [[plugin]]
    use = "plugins/rspamd_check.py"
    timeout = "60s"
    threads = 20
    options = { url = "http://127.0.0.1:11333/checkv2" }

The URL is that of a normal worker of rspamd. Its actions "reject" and "soft reject" refuse the
message. "rewrite subject" and its milter section, such as "add header", edit it. The
result `rspamd` has the action and the score. If rspamd does not answer, the message is deferred;
see `on_error`. Each scan occupies one of the threads. Limit: the message is in memory until then.
"""

# The reply of rspamd is JSON, which has no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import json
from urllib.request import Request, urlopen

from gatepost import Decision, MessageTransaction, Plugin, blocking, defer, deny


class RspamdCheck(Plugin):
    """Sends each message to rspamd."""

    class Options(Plugin.Options):
        """`url` is that of the second version of the check protocol, `checkv2`."""

        url: str = "http://127.0.0.1:11333/checkv2"

    @blocking
    def on_message(self, tx: MessageTransaction) -> Decision | None:
        """Edit or refuse the message; raise OSError if rspamd does not answer."""
        sender, rcpts = str(tx.reverse_path), ",".join(str(one.address) for one in tx.recipients)
        facts = {"IP": tx.session.peer.host, "Helo": tx.session.helo, "From": sender, "Rcpt": rcpts}
        facts = {name: text.encode().decode("latin-1") for name, text in facts.items()}
        found = json.load(urlopen(Request(self.options.url, bytes(tx.message), facts), timeout=50))  # noqa: S310
        tx.results.add("rspamd", found["action"].replace(" ", "-"), score=found["score"])
        if refuse := {"reject": deny, "soft reject": defer}.get(found["action"]):
            return refuse(found["messages"].get("smtp_message"), reason="rspamd")
        for name in found.get("milter", {}).get("remove_headers", {}):
            tx.message.remove_header(name)
        for name, fields in found.get("milter", {}).get("add_headers", {}).items():
            for field in fields if isinstance(fields, list) else [fields]:
                value = field["value"] if isinstance(field, dict) else field
                tx.message.add_header(name, " ".join(value.split()))
        if found["action"] == "rewrite subject":
            tx.message.replace_header("Subject", found["subject"])
        return None
