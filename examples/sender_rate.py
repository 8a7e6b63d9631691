"""Limit the number of recipients of each sender, exactly over all workers.

    [[plugin]]
    use = "plugins/sender_rate.py"
    options = { recipients = 100, period = "1h" }

A sender is the user that has logged in, or else the reverse-path. Each may send to `recipients` at
once, and these become available again over `period`. Put it behind plugins that refuse recipients,
such as greylisting, because it also counts those that later plugins refuse. The state is in the
store. During an outage of the store each worker counts alone.
"""

from gatepost import Decision, Duration, Plugin, Recipient, Transaction, defer


class SenderRate(Plugin):
    """Defers recipients over the limit of their sender."""

    class Options(Plugin.Options):
        """`recipients` is the number in a `period`."""

        recipients: int = 100
        period: Duration = Duration("1h")

    async def on_rcpt(self, tx: Transaction, _rcpt: Recipient) -> Decision | None:
        """Take one recipient from the budget of the sender."""
        sender = tx.session.auth.user if tx.session.auth else str(tx.reverse_path)
        burst = self.options.recipients
        taken = await self.store.take(sender, rate=burst / self.options.period, burst=burst)
        wait = f"too many recipients, try again in {taken.retry_after:.0f} seconds"
        return None if taken else defer(wait, reason="rate")
