"""Make the ledger's records of deliveries: one for each attempt of the queue.

Every result also reaches `inner`, such as the log.
"""

from collections.abc import Callable, Sequence

from gatepost.delivery.target import DeliveryError
from gatepost.ledger import records as r
from gatepost.ledger.limits import MAX_LISTED, text
from gatepost.ledger.privacy import Privacy
from gatepost.model.session import Hold, Recipient
from gatepost.queue.recorder import DeliveryRecorder
from gatepost.queue.spool.changes import Change
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

    def quarantined(self, facts: MessageFacts, recipients: Sequence[Recipient], hold: Hold) -> None:
        """Make the record of a message in quarantine."""
        self._results.quarantined(facts, recipients, hold)
        why = f"{hold.reason} ({hold.by})"
        addresses = [str(one.address) for one in recipients]
        self._keep_record("quarantined", facts.id, addresses, facts.reverse_path, detail=text(why))

    def changed(self, change: Change) -> None:
        """Make the record of a change."""
        self._results.changed(change)
        why = " ".join(filter(None, [change.detail, change.author and f"by {change.author}"]))
        who = change.recipients, change.sender
        self._keep_record(change.kind, change.ref, *who, detail=text(why))

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
        addresses = [str(one.address) for one in recipients]
        self._keep_record(
            result,
            facts.id,
            addresses,
            facts.reverse_path,
            destination,
            reply=text(why[0]),
            detail=text(why[1]),
        )

    def _keep_record(
        self,
        result: r.Attempt,
        ref: str,
        recipients: Sequence[str],
        sender: object,
        destination: str = "",
        *,
        reply: str = "",
        detail: str = "",
    ) -> None:
        address = self._privacy.address
        self._keep(
            r.Delivery(
                self._time(),
                ref,
                destination,
                result,
                list(map(address, recipients[:MAX_LISTED])),
                len(recipients),
                reply,
                detail,
                address(str(sender)),
            )
        )
