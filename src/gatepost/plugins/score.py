"""Decide by the sum of the points that other plugins give (score).

Plugins add results with points to `tx.results`, such as `dnsbl` and `spf`. This plugin adds them up
and refuses, defers, holds or marks the message.
"""

from collections.abc import Iterator
from typing import Literal

from gatepost import Decision, MessageTransaction, Plugin, Recipient, Transaction, defer, deny, hold

Stage = Literal["rcpt", "data", "message"]

# More names in a reply or field do not help its reader.
_NAMED = 8


class Score(Plugin):
    """Decides by the sum of points. It runs after the shipped plugins that give points."""

    after = frozenset(
        {
            *("arc", "attachments", "bounces", "clamav", "command", "dkim", "dmarc", "dnsbl"),
            *("dnswl", "early_talker", "geo", "greylist", "headers", "helo", "iprev", "loops"),
            *("mime", "p0f", "rate_limit", "regex", "reputation", "rhsbl", "rspamd"),
            *("sender_domain", "spamassassin", "spf", "uribl"),
        }
    )

    class Options(Plugin.Options):
        """Thresholds in points; 0 switches a threshold off."""

        deny: float = 10.0
        """The number of points from which a message is refused."""
        defer: float = 0.0
        """The number of points from which a message is deferred."""
        hold: float = 0.0
        """The number of points from which a message is held in the queue."""
        mark: float = 5.0
        """The number of points from which a message gets `mark_header` with the value YES."""
        stages: tuple[Stage, ...] = ("rcpt", "data", "message")
        """Where it decides. A decision before `message` lacks the points that plugins give
        or take off later."""
        mark_header: str = "X-Spam-Flag"
        """The header field of a marked message."""
        header: str = ""
        """A header field with the points and who gave them, such as "X-Spam-Score"; "" for none."""

        def __post_init__(self) -> None:
            if min(self.deny, self.defer, self.hold, self.mark) < 0:
                raise ValueError("expected thresholds of 0 or more points")

    def on_rcpt(self, tx: Transaction, _rcpt: Recipient) -> Decision | None:
        """Decide with the points of the client and the sender."""
        return self._decide(tx, "rcpt")

    def on_data(self, tx: Transaction) -> Decision | None:
        """Decide with the points of the envelope."""
        return self._decide(tx, "data")

    def on_message(self, tx: MessageTransaction) -> Decision | None:
        """Decide with all points; add the header fields to a message that is accepted."""
        decision = self._decide(tx, "message")
        if decision is None or not decision.refuses:
            self._mark(tx)
        return decision

    def _decide(self, tx: Transaction, stage: Stage) -> Decision | None:
        if stage not in self.options.stages:
            return None
        score = tx.results.score
        for threshold, refuse in ((self.options.deny, deny), (self.options.defer, defer)):
            if 0 < threshold <= score:
                self.metrics.counter("refused", stage=stage).inc()
                names = ", ".join(self._against(tx))
                return refuse(f"Message looks like spam: {names}", reason="score")
        return hold("score") if 0 < self.options.hold <= score else None

    def _against(self, tx: Transaction) -> Iterator[str]:
        """Yield the names of the results with points, the most points first."""
        points = sorted(tx.results, key=lambda one: -one.score)
        names = dict.fromkeys(one.name for one in points if one.score > 0)
        yield from list(names)[:_NAMED]

    def _mark(self, tx: MessageTransaction) -> None:
        score, options = tx.results.score, self.options
        for name in (options.mark_header, options.header):
            if name:
                tx.message.remove_header(name)
        if 0 < options.mark <= score and options.mark_header:
            self.metrics.counter("marked").inc()
            tx.message.add_header(options.mark_header, "YES")
        if options.header:
            given = [f"{one.name}={one.score:g}" for one in tx.results if one.score]
            tx.message.add_header(options.header, " ".join([f"{score:g}", *given[:_NAMED]]))
