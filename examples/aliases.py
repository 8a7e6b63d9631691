"""Send mail to an alias to other addresses, and a copy of all mail to a journal.

    [[plugin]]
    use = "plugins/aliases.py"

    [plugin.options]
    journal = "journal@example.com"
    aliases = { "team@example.com" = ["ann@example.com", "bob@example.net"] }

The aliases must be known recipients. The journal is not in the message and gets no DSN about it.
"""

from gatepost import Plugin, Recipient, Transaction


class Aliases(Plugin):
    """Replaces recipients, and adds one."""

    class Options(Plugin.Options):
        """`aliases` has the addresses for each alias, `journal` gets a copy."""

        aliases: dict[str, tuple[str, ...]]
        journal: str

    def on_rcpt(self, tx: Transaction, rcpt: Recipient) -> None:
        """Replace an alias; the journal is added once."""
        tx.replace_recipient(rcpt, self.options.aliases.get(str(rcpt.address), (rcpt.address,)))
        tx.add_recipient(self.options.journal)
