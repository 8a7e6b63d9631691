"""Make the ledger's records of deliveries: one for each attempt of the queue.

Every result also reaches `inner`, such as the log.
"""

from collections.abc import Callable, Sequence

from gatepost.delivery.target import DeliveryError
from gatepost.ledger import records as r
from gatepost.ledger.limits import MAX_LISTED, text
from gatepost.ledger.privacy import Privacy
from gatepost.queue.recorder import DeliveryRecorder
from gatepost.queue.spool.records import MessageFacts, RecipientFacts

Keep = Callable[[r.Record], None]


class DeliveryRecordMaker(DeliveryRecorder):
    """Makes records, hands them to `keep`, and passes every result on to `inner`."""

    def __init__(
        self, inner: DeliveryRecorder, keep: Keep, time: Callable[[], float], privacy: Privacy
    ) -> None:
        self._results = inner
        self._keep = keep
        self._time = time
        self._privacy = privacy

    def delivered(
        self, facts: MessageFacts, destination: str, recipients: Sequence[RecipientFacts]
    ) -> None:
        """Make the record of delivered recipients."""
        self._results.delivered(facts, destination, recipients)
        self._attempt(facts, destination, "delivered", recipients)

    def deferred(
        self, facts: MessageFacts, destination: str, recipient: RecipientFacts, error: DeliveryError
    ) -> None:
        """Make the record of an attempt that will be retried."""
        self._results.deferred(facts, destination, recipient, error)
        why = str(error.as_reply()), error.detail
        self._attempt(facts, destination, "deferred", [recipient], why)

    def bounced(
        self, facts: MessageFacts, recipient: RecipientFacts, reply: str, reason: str
    ) -> None:
        """Make the record of a failed recipient."""
        self._results.bounced(facts, recipient, reply, reason)
        self._attempt(facts, "", "bounced", [recipient], (reply, reason))

    def held(self, facts: MessageFacts, recipient: RecipientFacts, reply: str, reason: str) -> None:
        """Make the record of a held recipient."""
        self._results.held(facts, recipient, reply, reason)
        self._attempt(facts, "", "held", [recipient], (reply, reason))

    def message_damaged(self, facts: MessageFacts, problem: str) -> None:
        """Make the record of a damaged message."""
        self._results.message_damaged(facts, problem)
        self._attempt(facts, "", "damaged", (), ("", problem))

    def dsn_not_queued(self, ref: str, problem: str) -> None:
        """Make the record of a DSN that was not queued."""
        self._results.dsn_not_queued(ref, problem)
        self._keep(r.Notice(self._time(), "DSN not queued", text(problem), ref))

    def _attempt(
        self,
        facts: MessageFacts,
        destination: str,
        result: r.Attempt,
        recipients: Sequence[RecipientFacts],
        why: tuple[str, str] = ("", ""),
    ) -> None:
        """Make the record of an attempt; `why` is the reply and the detail of a failure."""
        address = self._privacy.address
        self._keep(
            r.Delivery(
                self._time(),
                facts.id,
                destination,
                result,
                [address(str(one.address)) for one in recipients[:MAX_LISTED]],
                len(recipients),
                text(why[0]),
                text(why[1]),
                address(str(facts.reverse_path)),
            )
        )
