"""Mark mail from outside: put a tag into its Subject, and add a field for filters of mail programs.

    [[plugin]]
    use = "plugins/tag_external.py"
    unless = { authenticated = true }

A sender who signs the Subject with DKIM gets an invalid signature; see "Change the message" in the
documentation of plugins.
"""

from gatepost import MessageTransaction, Plugin


class TagExternal(Plugin):
    """Adds a tag to the Subject, unless it is there, as in the reply to a reply."""

    class Options(Plugin.Options):
        """`tag` is put in front of the Subject, `field` is the name of the field that is added."""

        tag: str = "[EXT]"
        field: str = "X-External"

    def on_message(self, tx: MessageTransaction) -> None:
        """Replace the Subject, and forged fields of the client by a field of this server."""
        subject = tx.message.headers().get("Subject") or ""
        if self.options.tag not in subject:
            tx.message.replace_header("Subject", f"{self.options.tag} {subject}".rstrip())
        tx.message.remove_header(self.options.field)
        tx.message.add_header(self.options.field, "yes")
