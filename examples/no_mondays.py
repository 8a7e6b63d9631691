"""Refuse all mail on Mondays: a minimal plugin with an option."""

from gatepost import Decision, Plugin, Recipient, Transaction, deny


class NoMondays(Plugin):
    """Refuses every recipient on one day of the week."""

    class Options(Plugin.Options):
        """`day` is the day without mail; 0 is Monday."""

        day: int = 0

    def on_rcpt(self, tx: Transaction, _rcpt: Recipient) -> Decision | None:
        """Refuse the recipient on that day."""
        if tx.received_at.weekday() == self.options.day:
            return deny("closed today", enhanced="5.7.1", reason="monday")
        return None
