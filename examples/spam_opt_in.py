"""Refuse spam for the recipients that ask for it, and deliver it to the others (LMTP).

    [[plugin]]
    use = "plugins/spam_opt_in.py"
    listen = ["lmtp"]
    options = { strict = ["file:strict"] }

LMTP has a reply for each recipient at the end of the message. SMTP has one for all: there the
message is refused for all of them.
"""

from gatepost import AddressList, Decision, MessageTransaction, Plugin, deny


class SpamOptIn(Plugin):
    """Refuses messages with a high score for some of their recipients."""

    class Options(Plugin.Options):
        """`strict` are the recipients that get no message with a score of 5 or more."""

        strict: AddressList = AddressList()

    def on_message(self, tx: MessageTransaction) -> Decision | None:
        """Refuse the message for these."""
        strict = [one for one in tx.recipients if one in self.options.strict]
        return deny("it is spam", recipients=strict) if strict and tx.results.score >= 5 else None
