"""Put a tag into the Subject of mail from outside, as a warning to the reader.

Mail of clients that have logged in is not changed. Limit: a sender who signs the Subject with DKIM
gets an invalid signature; see "Change the message" in the documentation of plugins.
"""

from gatepost import Plugin, Transaction


class TagExternal(Plugin):
    """Adds a tag to the Subject, unless it is there, as in the reply to a reply."""

    class Options(Plugin.Options):
        """`tag` is put in front of the Subject."""

        tag: str = "[EXT]"

    def on_message(self, tx: Transaction) -> None:
        """Replace the Subject; a message without one gets the tag as its Subject."""
        if tx.session.auth is not None or tx.message is None:
            return
        subject = tx.message.headers().get("Subject") or ""
        if self.options.tag not in subject:
            tx.message.replace_header("Subject", f"{self.options.tag} {subject}".rstrip())
