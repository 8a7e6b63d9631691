"""Refuse messages with attachments of certain names, also inside of ZIP archives.

The shipped plugin `attachments` does more: this one shows how to read a message in threads.

    [[plugin]]
    use = "plugins/attachments.py"
    options = { refused = ["[.](exe|com|scr|vbs|js|lnk|iso)$"] }

Parsing takes time, so it runs in threads of this plugin. Limits: archives in archives are not
opened. A damaged archive, and a message that Python cannot parse, is an error: the message is
deferred; see `on_error`.
"""

from email import message_from_bytes, policy
from io import BytesIO
from zipfile import ZipFile, is_zipfile

from gatepost import Decision, MessageTransaction, Plugin, RegexList, blocking, deny


class Attachments(Plugin):
    """Refuses a message if the name of an attachment matches."""

    class Options(Plugin.Options):
        """`refused` are regular expressions for names."""

        refused: RegexList = RegexList("[.](exe|com|scr|vbs|js|lnk|iso)$")

    @blocking
    def on_message(self, tx: MessageTransaction) -> Decision | None:
        """Search the names of all parts, and of all files in their archives."""
        for part in message_from_bytes(bytes(tx.message), policy=policy.default).walk():
            content = BytesIO(part.get_payload(decode=True) or b"")  # type: ignore[arg-type]
            names = ZipFile(content).namelist() if is_zipfile(content) else []
            if any(map(self.options.refused.match, [part.get_filename(""), *names])):
                return deny("attachments of this type are not accepted", reason="attachment")
        return None
