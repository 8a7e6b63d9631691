"""Decisions about recipients: delivered, deferred, bounced, or held.

`accept` decides at arrival, `after_attempt` after a delivery attempt, `after_time` when a message
is late or expires. They return the rows to store, and report results only to the recorder.

A failed recipient leaves the queue (it bounces) if its sender gets a DSN, or has refused DSNs with
NOTIFY=NEVER. If the sender may not get a DSN, the recipient is held for the administrator, and so
is one that a plugin has added, which the sender must not learn of. So no mail is lost without
notice. Damaged messages are also held, as they may be repaired.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from gatepost.config.units import format_duration
from gatepost.delivery.senders import by_sender
from gatepost.delivery.target import DeliveryError
from gatepost.model.message import Message
from gatepost.model.reply import Reply
from gatepost.model.session import Hold, Recipient, Transaction
from gatepost.queue.delivery_attempt import AttemptOutcome
from gatepost.queue.dsn.compose import DsnComposer, RecipientStatus, reported_message
from gatepost.queue.dsn.notify import SuccessActions, may_notify
from gatepost.queue.dsn.report import ReportedMessage
from gatepost.queue.recorder import DeliveryRecorder
from gatepost.queue.routing import QueueRouter
from gatepost.queue.schedule import RetryPolicy, Schedule
from gatepost.queue.spool.records import (
    AttemptResult,
    Deferred,
    DeliveryJob,
    Held,
    MessageFacts,
    NewMessage,
    NewRecipient,
    QueuedRecipient,
    RecipientFacts,
    message_facts,
    recipient_facts,
)

EXPIRED = "4.4.7"  # RFC 3463 s3.5: delivery time expired
# Octets of a message that a DSN may quote.
QUOTABLE = 64 * 1024


class Disposition:
    """Decides by `policy` and `schedule`; `router` has the destinations of recipients."""

    def __init__(
        self,
        policy: RetryPolicy,
        schedule: Schedule,
        dsn: DsnComposer,
        router: QueueRouter,
        recorder: DeliveryRecorder,
    ) -> None:
        self._policy = policy
        self._schedule = schedule
        self._dsn = dsn
        self._router = router
        self._recorder = recorder

    @property
    def horizon(self) -> float:
        """The longest time in seconds until an event of a message."""
        return self._policy.horizon

    # at arrival

    def accept(
        self,
        tx: Transaction,
        recipients: Sequence[Recipient],
        message: Message,
        failures: Mapping[Recipient, DeliveryError],
        now: float,
        *,
        hold: Hold | None = None,
    ) -> list[NewMessage]:
        """Return the messages to store for a message that arrives, DSNs included.

        `failures` are the recipients that have been tried before, each with its error. With `hold`
        all others are held. Each sender that plugins have set has a message of its own.
        """
        return [
            new
            for sender, some in by_sender(tx, recipients)
            for new in self._accept(
                message_facts(tx, sender), some, message, failures, now, hold=hold
            )
        ]

    def _accept(
        self,
        facts: MessageFacts,
        recipients: Sequence[Recipient],
        message: Message,
        failures: Mapping[Recipient, DeliveryError],
        now: float,
        *,
        hold: Hold | None,
    ) -> list[NewMessage]:
        expires, event = self._times(facts, now)
        if hold is not None:
            self._recorder.quarantined(facts, recipients, hold)
        failed = [
            _failed(recipient_facts(one), failures[one])
            for one in recipients
            if one in failures and failures[one].permanent
        ]
        queued = [
            _held(recipient_facts(one), hold, now)
            if hold is not None
            else self._new_recipient(facts, one, failures.get(one), now)
            for one in recipients
            if one not in failures or not failures[one].permanent
        ]
        queued += [
            NewRecipient(one.facts, "", None, 1, one.reply, one.reason)
            for one in failed
            if not _may_bounce(facts, one.facts)
        ]
        size = message.full_size
        new = [NewMessage(facts, queued, message, size, now, expires, event)] if queued else []
        if failed:
            original = _original_of(facts, message, now, expires)
            new += self._give_up(facts, original, failed, now)
        return new

    def accept_successes(
        self, tx: Transaction, message: Message, successes: SuccessActions, now: float
    ) -> list[NewMessage]:
        """Return the success DSNs of a message that was delivered without the queue."""
        return [
            new
            for sender, some in by_sender(tx, list(successes))
            for new in self._successes(
                message_facts(tx, sender), message, {one: successes[one] for one in some}, now
            )
        ]

    def _successes(
        self, facts: MessageFacts, message: Message, successes: SuccessActions, now: float
    ) -> list[NewMessage]:
        if not may_notify(facts):
            return []
        original = _original_of(facts, message, now, now + self._policy.expire)
        delivered = [(recipient_facts(one), action) for one, action in successes.items()]
        return self._dsn.compose_successes(facts, original, delivered, now)

    def _new_recipient(
        self, facts: MessageFacts, one: Recipient, error: DeliveryError | None, now: float
    ) -> NewRecipient:
        new, destination = recipient_facts(one), self._router.destination(facts, one)
        if error is None:
            return NewRecipient(new, destination, now)
        due = now + self._schedule.wait(0)
        return NewRecipient(new, destination, due, 1, str(error.as_reply()), error.detail)

    def _times(self, facts: MessageFacts, now: float) -> tuple[float, float]:
        """Return the expiry of a message, and the time of its first event."""
        expires, delay = now + self._policy.expire, self._policy.delay_notice
        has_delay_dsn = delay > 0 and may_notify(facts)
        return expires, min(expires, now + delay) if has_delay_dsn else expires

    # after an attempt

    def after_attempt(self, job: DeliveryJob, outcome: AttemptOutcome, now: float) -> AttemptResult:
        """Return the new state of a job's recipients, with DSNs about failures and successes."""
        delivered = [one for one in job.recipients if one not in outcome.failures]
        if outcome.damage is None:
            result = self._after_delivery(job, delivered, outcome.failures, now)
        else:
            result = self._hold_damaged(job, delivered, str(outcome.damage))
        successes = [(one.facts, action) for one, action in outcome.successes.items()]
        if not successes:
            return result
        dsns = self._dsn.compose_successes(job.facts, _original(job), successes, now)
        return msgspec.structs.replace(result, new_messages=[*dsns, *result.new_messages])

    def _after_delivery(
        self,
        job: DeliveryJob,
        delivered: Sequence[QueuedRecipient],
        failures: Mapping[QueuedRecipient, DeliveryError],
        now: float,
    ) -> AttemptResult:
        retried, failed = dict[QueuedRecipient, DeliveryError](), dict[int, RecipientStatus]()
        for one, error in failures.items():
            if error.permanent:
                failed[one.id] = _failed(one.facts, error)
            elif now >= job.expires:
                failed[one.id] = self._expired(one, str(error.as_reply()))
            else:
                retried[one] = error
        self._record_attempt(job, delivered, retried)
        deferred = [self._defer(one, error, now) for one, error in retried.items()]
        return self._result(job, [one.id for one in delivered], deferred, failed, now)

    def _defer(self, one: QueuedRecipient, error: DeliveryError, now: float) -> Deferred:
        due = now + self._schedule.wait(one.attempts)
        return Deferred(one.id, due, str(error.as_reply()), error.detail)

    def _hold_damaged(
        self, job: DeliveryJob, delivered: Sequence[QueuedRecipient], problem: str
    ) -> AttemptResult:
        self._recorder.message_damaged(job.facts, problem)
        self._record_attempt(job, delivered, {})
        ids = {one.id for one in delivered}
        return AttemptResult(
            message=job.message,
            destinations=_destinations(job),
            delivered=[*ids],
            held=[Held(one.id, "", problem) for one in job.recipients if one.id not in ids],
        )

    def _record_attempt(
        self,
        job: DeliveryJob,
        delivered: Sequence[QueuedRecipient],
        deferred: Mapping[QueuedRecipient, DeliveryError],
    ) -> None:
        if delivered:
            recipients = [one.facts for one in delivered]
            self._recorder.delivered(job.facts, job.destination, recipients)
        for one, error in deferred.items():
            self._recorder.deferred(job.facts, job.destination, one.facts, error)

    # because of the time

    def after_time(self, job: DeliveryJob, now: float) -> AttemptResult:
        """Return the new state of a message that is late, or has expired without an attempt."""
        if now >= job.expires:
            failed = {one.id: self._expired(one, one.reply) for one in job.recipients}
            return self._result(job, [], [], failed, now)
        # A later expiry comes from a wrong clock, or from an earlier, longer `expire`.
        expires = min(job.expires, now + self._policy.expire)
        is_late = job.event is not None and job.event <= now
        delayed = [_delayed(one) for one in job.recipients if is_late]
        dsns = self._dsn.compose("delayed", job.facts, _original(job), delayed, now)
        return AttemptResult(job.message, (), new_messages=dsns, event=expires, expires=expires)

    # failures

    def _expired(self, one: QueuedRecipient, reply: str) -> RecipientStatus:
        reason = f"expired after {format_duration(self._policy.expire)}: {one.reason}"
        return RecipientStatus(one.facts, reply, EXPIRED, reason)

    def _result(
        self,
        job: DeliveryJob,
        delivered: list[int],
        deferred: list[Deferred],
        failed: Mapping[int, RecipientStatus],
        now: float,
    ) -> AttemptResult:
        """Return a result in which failed recipients bounce with a DSN, or are held without one."""
        result = AttemptResult(job.message, _destinations(job), delivered, deferred)
        if not failed:
            return result
        bounced = [at for at, one in failed.items() if _may_bounce(job.facts, one.facts)]
        return msgspec.structs.replace(
            result,
            delivered=[*delivered, *bounced],
            held=[
                Held(at, one.reply, one.reason)
                for at, one in failed.items()
                if not _may_bounce(job.facts, one.facts)
            ],
            new_messages=self._give_up(job.facts, _original(job), failed.values(), now),
        )

    def _give_up(
        self,
        facts: MessageFacts,
        original: ReportedMessage,
        failed: Iterable[RecipientStatus],
        now: float,
    ) -> list[NewMessage]:
        """Record failed recipients as bounced or held; return the DSN about them."""
        failed = list(failed)
        for one in failed:
            bounces = _may_bounce(facts, one.facts)
            record = self._recorder.bounced if bounces else self._recorder.held
            record(facts, one.facts, one.reply, one.reason)
        return self._dsn.compose("failed", facts, original, failed, now)


def _held(facts: RecipientFacts, hold: Hold, now: float) -> NewRecipient:
    return NewRecipient(facts, "", None, reason=hold.reason, holder=hold.by, held=now)


def _may_bounce(facts: MessageFacts, recipient: RecipientFacts) -> bool:
    """Return whether a failed recipient leaves the queue, otherwise it is held.

    A DSN would reveal a recipient that a plugin has added.
    """
    return may_notify(facts) and not recipient.added


def _failed(facts: RecipientFacts, error: DeliveryError) -> RecipientStatus:
    reply = error.as_reply()
    status = reply.enhanced or f"{reply.code // 100}.0.0"
    return RecipientStatus(facts, str(reply), status, error.detail)


def _delayed(one: QueuedRecipient) -> RecipientStatus:
    return RecipientStatus(one.facts, one.reply, _status(one.reply, "4.0.0"), one.reason)


def _status(reply: str, default: str) -> str:
    """Return the enhanced status code of a stored reply, `default` if it has none."""
    try:
        return Reply.parse(reply).enhanced or default
    except ValueError:
        return default


def _destinations(job: DeliveryJob) -> set[str]:
    return {one.destination for one in job.recipients}


def _original(job: DeliveryJob) -> ReportedMessage:
    is_whole = len(job.first) == job.size
    return reported_message(
        job.facts, job.first, is_whole=is_whole, received=job.received, until=job.expires
    )


def _original_of(
    facts: MessageFacts, message: Message, received: float, expires: float
) -> ReportedMessage:
    with message.open() as file:
        beginning = file.read(QUOTABLE)
    return reported_message(facts, beginning, is_whole=False, received=received, until=expires)
