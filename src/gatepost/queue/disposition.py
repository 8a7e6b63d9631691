"""Judges what has become of recipients: done, later, or given up – and then told, or held.

A recipient that is given up leaves the queue if its sender is told of it, or has asked not to be
(NOTIFY=NEVER). If there is nobody to tell it is held for the administrator, and so is what cannot
be read: it may be repaired. So nothing disappears without somebody knowing.

Nothing is written down here but the log: what is judged is handed to the spool.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from gatepost.config.units import format_duration
from gatepost.delivery.routes import Router
from gatepost.delivery.target import DeliveryError
from gatepost.model.message import Message
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient, Transaction
from gatepost.queue.delivery_attempt import Outcome, UnreadableError
from gatepost.queue.dsn.compose import DsnComposer, about, fate
from gatepost.queue.dsn.notify import SuccessDsn, may_be_told, wants
from gatepost.queue.dsn.report import About, Action
from gatepost.queue.retry_policy import RetryPolicy
from gatepost.queue.schedule import Schedule
from gatepost.queue.spool.records import (
    AttemptResult,
    Deferred,
    Held,
    MessageFacts,
    NewMessage,
    NewRecipient,
    QueuedRecipient,
    RecipientFacts,
    Work,
    message_facts,
    recipient_facts,
)

EXPIRED = "4.4.7"  # RFC 3463 s3.5: delivery time expired
TAKEN = "2.0.0"  # RFC 3463 s2: success, and no more to say
# What is read of a message for a notice about it.
BEGINNING = 64 * 1024


class _News(NamedTuple):
    """A recipient, with what the sender and what the log is told of it."""

    facts: RecipientFacts
    reply: str
    status: str
    reason: str


class Disposition:
    """Judges by `terms` and `schedule`; `router` knows where a recipient's mail goes next."""

    def __init__(
        self,
        terms: RetryPolicy,
        schedule: Schedule,
        dsn: DsnComposer,
        router: Router,
        log: Any,
    ) -> None:
        self._terms = terms
        self._schedule = schedule
        self._dsn = dsn
        self._router = router
        self._log = log

    @property
    def horizon(self) -> float:
        """How far away anything can be that happens to a message, in seconds."""
        return self._terms.horizon

    def destination(self, recipient: Recipient) -> str:
        """Return a name for where a recipient's mail goes next, "" where there is no route."""
        route = self._router.route(recipient)
        return "" if route is None else route.destination(recipient)

    def accept(
        self,
        tx: Transaction,
        recipients: Sequence[Recipient],
        message: Message,
        failures: Mapping[Recipient, DeliveryError],
        now: float,
    ) -> list[NewMessage]:
        """Return what to put into the spool for a message that comes, notices included.

        `failures` are the recipients that have been tried already, each with what came of it.
        """
        facts = message_facts(tx)
        kept, lost = list[NewRecipient](), list[_News]()
        for one in recipients:
            error, known = failures.get(one), recipient_facts(one)
            if error is not None and error.permanent:
                lost.append(_lost(known, error))
            else:
                kept.append(self._new(one, known, error, now))
        if lost and not may_be_told(facts):
            kept += [NewRecipient(one.facts, "", None, 1, one.reply, one.reason) for one in lost]
        expires, event = self._times(facts, now)
        size = message.size + sum(map(len, message.added))
        new_messages = [NewMessage(facts, kept, message, size, now, expires, event)] if kept else []
        if lost:
            original = about(facts, _beginning(message), whole=False, received=now, until=expires)
            new_messages += self._give_up(facts, original, lost, now)
        return new_messages

    def _new(
        self, one: Recipient, known: RecipientFacts, error: DeliveryError | None, now: float
    ) -> NewRecipient:
        destination = self.destination(one)
        if error is None:
            return NewRecipient(known, destination, now)
        due = now + self._schedule.wait(0)
        return NewRecipient(known, destination, due, 1, str(error.as_reply()), error.detail)

    def _times(self, facts: MessageFacts, now: float) -> tuple[float, float]:
        """Return when a message expires, and when something has to happen first of all."""
        expires, delay = now + self._terms.expire, self._terms.delay_notice
        is_told = delay > 0 and may_be_told(facts)
        return expires, min(expires, now + delay) if is_told else expires

    def report(
        self, tx: Transaction, message: Message, successes: SuccessDsn, now: float
    ) -> list[NewMessage]:
        """Return the notices of a message that targets have taken without the queue."""
        facts, expires = message_facts(tx), now + self._terms.expire
        if not may_be_told(facts):
            return []
        original = about(facts, _beginning(message), whole=False, received=now, until=expires)
        done = [(recipient_facts(one), action) for one, action in successes.items()]
        return self._succeeded(facts, original, done, now)

    def judge(self, work: Work, outcome: Outcome, now: float) -> AttemptResult:
        """Return what has become of a delivery's recipients; those that have not failed have it."""
        settlement = self._judged(work, outcome.failures, now)
        done = [(one.facts, action) for one, action in outcome.successes.items()]
        if not done:
            return settlement
        new_messages = self._succeeded(work.facts, _original(work), done, now)
        return msgspec.structs.replace(
            settlement, new_messages=[*new_messages, *settlement.new_messages]
        )

    def _judged(
        self, work: Work, failures: Mapping[QueuedRecipient, DeliveryError], now: float
    ) -> AttemptResult:
        done = [one for one in work.recipients if one not in failures]
        unreadable = [one for one in failures.values() if isinstance(one, UnreadableError)]
        if unreadable:
            return self._damaged(work, done, str(unreadable[0]))
        deferred, lost = list[Deferred](), dict[int, _News]()
        for one, error in failures.items():
            if error.permanent:
                lost[one.id] = _lost(one.facts, error)
            elif now >= work.expires:
                lost[one.id] = self._expired(one, error)
            else:
                due = now + self._schedule.wait(one.attempts)
                deferred.append(Deferred(one.id, due, str(error.as_reply()), error.detail))
        self._log_attempt(
            work, done, {one: failures[one] for one in failures if one.id not in lost}
        )
        return self._settled(work, [one.id for one in done], deferred, lost, now)

    def _damaged(self, work: Work, done: Sequence[QueuedRecipient], problem: str) -> AttemptResult:
        self._log.error("message damaged, held", ref=work.facts.id, problem=problem)
        self._log_attempt(work, done, {})
        has_it = {one.id for one in done}
        return AttemptResult(
            message=work.message,
            destinations={one.destination for one in work.recipients},
            done=[*has_it],
            held=[Held(one.id, "", problem) for one in work.recipients if one.id not in has_it],
        )

    def _log_attempt(
        self,
        work: Work,
        done: Sequence[QueuedRecipient],
        deferred: Mapping[QueuedRecipient, DeliveryError],
    ) -> None:
        if not self._log.is_enabled_for(logging.INFO):
            return
        log = self._log.bind(ref=work.facts.id, to=work.destination)
        if done:
            log.info("delivered", recipients=[str(one.facts.address) for one in done])
        for one, error in deferred.items():
            recipient, reply = str(one.facts.address), str(error.as_reply())
            log.info("deferred", recipient=recipient, reply=reply, detail=error.detail)

    def late(self, work: Work, now: float) -> AttemptResult:
        """Return what becomes of a message because of the time alone: a notice, or its end."""
        if now >= work.expires:
            lost = {one.id: self._expired(one, None) for one in work.recipients}
            return self._settled(work, [], [], lost, now)
        # Nothing is further away than this, unless a clock was wrong or `expire` was longer.
        expires = min(work.expires, now + self._terms.expire)
        is_late = work.event is not None and work.event <= now
        delayed = [
            _News(one.facts, one.reply, _status(one.reply, "4.0.0"), one.reason)
            for one in work.recipients
            if is_late
        ]
        new_messages = self._tell("delayed", work.facts, _original(work), delayed, now)
        return AttemptResult(
            work.message, (), new_messages=new_messages, event=expires, expires=expires
        )

    def _expired(self, one: QueuedRecipient, error: DeliveryError | None) -> _News:
        reply = str(error.as_reply()) if error is not None else one.reply
        reason = f"not delivered in {format_duration(self._terms.expire)}: {one.reason}"
        return _News(one.facts, reply, EXPIRED, reason)

    def _settled(
        self,
        work: Work,
        done: list[int],
        deferred: list[Deferred],
        lost: Mapping[int, _News],
        now: float,
    ) -> AttemptResult:
        told = may_be_told(work.facts)
        held = [Held(at, one.reply, one.reason) for at, one in lost.items() if not told]
        new_messages = (
            self._give_up(work.facts, _original(work), list(lost.values()), now) if lost else []
        )
        return AttemptResult(
            message=work.message,
            destinations={one.destination for one in work.recipients},
            done=[*done, *(lost if told else ())],
            deferred=deferred,
            held=held,
            new_messages=new_messages,
        )

    def _give_up(
        self, facts: MessageFacts, original: About, lost: Sequence[_News], now: float
    ) -> list[NewMessage]:
        told = may_be_told(facts)
        for one in lost:
            log = self._log.bind(
                ref=facts.id,
                sender=str(facts.reverse_path),
                recipient=str(one.facts.address),
                reply=one.reply,
                detail=one.reason,
            )
            if told:
                log.warning("given up")
            else:
                log.warning("held")
        return self._tell("failed", facts, original, lost, now)

    def _succeeded(
        self,
        facts: MessageFacts,
        original: About,
        done: Iterable[tuple[RecipientFacts, Action]],
        now: float,
    ) -> list[NewMessage]:
        """Return the notices of those who have their mail, one for each kind of success.

        Where there is no way to the sender there are none: held ones would fill the spool with what
        nobody has to do anything about.
        """
        if not self._dsn.reach(facts.reverse_path):
            self._log.warning("sender not told", ref=facts.id, detail="no route for the sender")
            return []
        shares: dict[Action, list[_News]] = {}
        for one, action in done:
            shares.setdefault(action, []).append(_News(one, "", TAKEN, ""))
        return [
            new_message
            for action, share in shares.items()
            for new_message in self._tell(action, facts, original, share, now)
        ]

    def _tell(
        self,
        action: Action,
        facts: MessageFacts,
        original: About,
        news: Sequence[_News],
        now: float,
    ) -> list[NewMessage]:
        """Return the notice to a sender who may and wants to have it."""
        fates = [
            fate(one.facts, one.reply, one.status)
            for one in news
            if wants(one.facts.params, action)
        ]
        if not fates or not may_be_told(facts):
            return []
        return [self._dsn.write(action, original, fates, facts, now)]


def _lost(known: RecipientFacts, error: DeliveryError) -> _News:
    reply = error.as_reply()
    return _News(known, str(reply), reply.enhanced or f"{reply.code // 100}.0.0", error.detail)


def _status(reply: str, default: str) -> str:
    """Return the enhanced status code of a reply as it is kept, `default` if it has none."""
    try:
        return Reply.parse(reply).enhanced or default
    except ValueError:
        return default


def _original(work: Work) -> About:
    whole = len(work.first) == work.size
    return about(work.facts, work.first, whole=whole, received=work.received, until=work.expires)


def _beginning(message: Message) -> bytes:
    with message.open() as file:
        return file.read(BEGINNING)
