"""Make the ledger's records from the facts of sessions: one for each connection and transaction.

Theory of operation
-------------------
A record is made when its subject ends. Until then only opinions and refusals are kept, by the
reference of the session or transaction; most sessions have none. A transaction that was begun and
abandoned without a recipient or an opinion gets no record, so a client that sends MAIL and RSET in
turn writes nothing.

Every fact also reaches `inner`, such as the log.

Limits: `limits.MAX_LISTED` opinions of a session or transaction are kept, and all are counted.
Connections over a limit get REFUSALS_PER_SECOND records; the next one counts the others.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gatepost.delivery.target import DeliveryError
from gatepost.ledger import records as r
from gatepost.ledger.limits import MAX_LISTED, text
from gatepost.ledger.privacy import Privacy
from gatepost.model.address import address_text
from gatepost.model.auth_attempt import AuthAttempt
from gatepost.model.decision import Verdict
from gatepost.model.endpoint import Endpoint
from gatepost.model.message import Message
from gatepost.model.reply import Reply
from gatepost.model.session import Change, Recipient, Session, Transaction
from gatepost.queue.recording import DeliveryRecordMaker, Keep
from gatepost.session.record_parts import (
    NOTHING,
    Clients,
    Story,
    client,
    listed,
    result_of,
    shadow,
    transaction,
    verdict_of,
    verdict_word,
)
from gatepost.session.recorder import Decided, Recorder, implements

# The authors of opinions that are no plugins.
CORE, PROTOCOL, LIMITS, DELIVERY = "gatepost", "protocol", "limits", "delivery"
REFUSALS_PER_SECOND: Final = 50


class RecordMaker(DeliveryRecordMaker, Recorder):
    """Makes records, hands them to `keep`, and passes every fact on to `inner`."""

    def __init__(
        self, inner: Recorder, keep: Keep, time: Callable[[], float], privacy: Privacy
    ) -> None:
        super().__init__(inner, keep, time, privacy)
        self.detailed = inner.detailed
        self._inner = inner
        self._stories: dict[str, Story] = {}
        self._accepted: dict[str, Reply] = {}
        # A call costs as much as what is made of these facts.
        self._passes_accepted = implements(inner, "accepted")
        self._passes_ended = implements(inner, "transaction_ended")
        self._clients = Clients(privacy)
        self._refused = _Budget(REFUSALS_PER_SECOND)
        for name, _ in inspect.getmembers(Recorder, inspect.isfunction):
            if name not in vars(RecordMaker) and name not in vars(DeliveryRecordMaker):
                setattr(self, name, getattr(inner, name))

    def _story(self, ref: str) -> Story:
        story = self._stories.get(ref)
        if story is None:
            story = self._stories[ref] = Story()
        return story

    def _answered(self, ref: str, answer: r.Answer) -> Story:
        story = self._story(ref)
        if answer.verdict != "accept":
            story.faults += 1
            story.of_hooks += answer.hook in _OF_THE_MAIL
        if len(story.answers) < MAX_LISTED:
            story.answers.append(answer)
        return story

    def _fault(
        self, session: Session, tx: Transaction | None, by: str, reason: str, reply: Reply
    ) -> None:
        """Keep a refusal without a hook; after DATA it is about the whole message."""
        answer = r.Answer("", by, verdict_of(reply), reason, text(str(reply)))
        story = self._answered(session.id if tx is None else tx.id, answer)
        if tx is not None and tx.message is not None:
            story.final = answer

    # Connections

    def connection_refused(self, ref: str, peer: Endpoint, limit: str, reply: Reply) -> None:
        """Make the record of a connection over a limit."""
        self._inner.connection_refused(ref, peer, limit, reply)
        answer = r.Answer("", LIMITS, verdict_of(reply), limit, text(str(reply)))
        self._turned_away(ref, peer, limit, reply=str(reply), answers=(answer,), faults=1)

    def proxy_refused(self, ref: str, peer: Endpoint, problem: str) -> None:
        """Make the record of a connection without a valid PROXY header."""
        self._inner.proxy_refused(ref, peer, problem)
        self._turned_away(ref, peer, "proxy-refused", problem=text(problem))

    def _turned_away(self, ref: str, peer: Endpoint, end: str, **fields: Any) -> None:
        now = self._time()
        repeated = self._refused.spend(now)
        if repeated >= 0:
            client = r.Client(peer.host, peer.port)
            self._keep(r.Connection(now, ref, client, end=end, repeated=repeated, **fields))

    def early_talker(self, session: Session, reply: Reply) -> None:
        """Keep how the connection ends."""
        self._inner.early_talker(session, reply)
        self._fault(session, None, PROTOCOL, "early-talker", reply)
        self._story(session.id).end = "early-talker"

    def tls_failed(self, session: Session, problem: str) -> None:
        """Keep how the connection ends."""
        self._inner.tls_failed(session, problem)
        story = self._story(session.id)
        story.end, story.problem = "tls-failed", text(problem)

    def timed_out(
        self, session: Session, tx: Transaction | None, limit: str, reply: Reply | None
    ) -> None:
        """Keep how the connection ends."""
        self._inner.timed_out(session, tx, limit, reply)
        if reply is not None:
            self._fault(session, tx, LIMITS, limit, reply)
        self._story(session.id).end = limit

    def limit_reached(
        self, session: Session, tx: Transaction | None, limit: str, reply: Reply
    ) -> None:
        """Keep how the connection ends."""
        self._inner.limit_reached(session, tx, limit, reply)
        self._fault(session, tx, LIMITS, limit, reply)
        self._story(session.id).end = limit

    def command_fault(self, session: Session, tx: Transaction | None, reply: Reply) -> None:
        """Keep a refusal of the protocol."""
        self._inner.command_fault(session, tx, reply)
        self._fault(session, tx, PROTOCOL, "protocol-error", reply)

    def session_failed(self, session: Session, tx: Transaction | None, reply: Reply) -> None:
        """Keep an internal error."""
        self._inner.session_failed(session, tx, reply)
        self._fault(session, tx, CORE, "internal-error", reply)
        self._story(session.id).problem = "internal error, the log has the traceback"

    def connection_closed(
        self, session: Session, received: int, sent: int, *, after_quit: bool
    ) -> None:
        """Make the record of a connection."""
        self._inner.connection_closed(session, received, sent, after_quit=after_quit)
        story = self._stories.pop(session.id, NOTHING)
        answers: Sequence[r.Answer] = ()
        if story.answers or session.opinions:
            answers = [*story.answers, *shadow(session.opinions, self._privacy)]
        self._keep(
            r.Connection(
                session.started,
                session.id,
                self._clients.of(session),
                seconds=max(0.0, self._time() - session.started),
                end=story.end or ("quit" if after_quit else "lost"),
                problem=story.problem,
                answers=answers,
                faults=story.faults,
                transactions=session.transactions,
                messages=session.messages,
                received=received,
                sent=sent,
            )
        )
        self._clients.drop(session)

    # Decisions

    def decided(
        self, session: Session, tx: Transaction | None, decided: Decided, reply: Reply
    ) -> None:
        """Keep an opinion; make the record of a MAIL that is refused."""
        self._inner.decided(session, tx, decided, reply)
        given = decided.answer
        if given is None:
            return
        hook, decision = decided.hook, given.decision
        answer = r.Answer(
            hook,
            given.by,
            verdict_word(decision.verdict),
            decision.reason,
            text(str(reply)),
            self._about(decided.args),
            int(decided.seconds * 1e6) / 1e6,  # `round` takes ten times as long
        )
        is_refusal = decision.verdict is not Verdict.ACCEPT
        if hook == "mail" and is_refusal:
            self._refused_mail(session, decided.args[0], answer, reply)
            return
        story = self._answered(session.id if tx is None else tx.id, answer)
        if is_refusal and hook == "connect":
            story.end = "refused"
        elif is_refusal and hook in _OF_THE_MESSAGE:
            story.final = answer

    def _about(self, args: tuple[Any, ...]) -> str:
        """Return what the arguments of a hook are about, besides the session or transaction."""
        match args[1:]:
            case (Recipient() as rcpt,):
                return self._privacy.address(address_text(rcpt.address))
            case (AuthAttempt() as attempt,):
                return text(attempt.user)
            case (str() as argument,):
                return text(argument)
            case _:
                return ""

    def _refused_mail(
        self, session: Session, tx: Transaction, answer: r.Answer, reply: Reply
    ) -> None:
        """Make the record of a transaction that never began; its reference is the session's."""
        self._story(session.id).faults += 1
        self._keep(
            r.Transaction(
                tx.received,
                session.id,
                session.id,
                self._clients.of(session),
                self._privacy.address(address_text(tx.reverse_path)),
                result_of(reply),
                answer.by,
                answer.reason,
                answer.reply,
                max(0.0, self._time() - tx.received),
                hook=answer.hook,
                answers=[answer, *shadow(tx.opinions, self._privacy)],
            )
        )

    # Messages

    def storage_failed(self, tx: Transaction, problem: str) -> None:
        """Keep why content could not be stored."""
        self._inner.storage_failed(tx, problem)
        self._story(tx.id).problem = text(problem)

    def edited(self, tx: Transaction, message: Message) -> None:
        """Keep the edits of plugins."""
        self._inner.edited(tx, message)
        self._story(tx.id).edits = listed(message.edits, self._privacy)

    def recipients_changed(self, tx: Transaction, changes: Sequence[Change]) -> None:
        """Keep the changes of plugins."""
        self._inner.recipients_changed(tx, changes)
        self._story(tx.id).changes = listed(changes, self._privacy)

    def accepted(self, tx: Transaction, reply: Reply) -> None:
        """Keep the reply."""
        if self._passes_accepted:
            self._inner.accepted(tx, reply)
        self._accepted[tx.id] = reply

    def not_delivered(self, tx: Transaction, failures: Mapping[Recipient, DeliveryError]) -> None:
        """Keep the refusal of a target: for one recipient in LMTP, otherwise for the message."""
        self._inner.not_delivered(tx, failures)
        for rcpt, error in list(failures.items())[:MAX_LISTED]:
            reply = error.as_reply().with_reference(tx.id)
            about = self._privacy.address(address_text(rcpt.address))
            answer = r.Answer(
                "deliver", DELIVERY, verdict_of(reply), "not-delivered", str(reply), about
            )
            story = self._answered(tx.id, answer)
            story.final, story.problem = answer, text(error.detail)

    def submitted(self, tx: Transaction, plugin: str, size: int) -> None:
        """Make the record of a message of a plugin."""
        self._inner.submitted(tx, plugin, size)
        self._keep(
            transaction(
                tx,
                client(tx.session, self._privacy),
                NOTHING,
                self._privacy,
                self._time(),
                accepted=_ACCEPTED,
                plugin=plugin,
                size=size,
            )
        )

    def transaction_ended(self, tx: Transaction) -> None:
        """Make the record of a transaction, unless nothing happened in it."""
        if self._passes_ended:
            self._inner.transaction_ended(tx)
        story = self._stories.pop(tx.id, NOTHING)
        accepted = self._accepted.pop(tx.id, None)
        if accepted is None and story is NOTHING and not _has_facts(tx):
            return
        if story.faults:
            self._story(tx.session.id).faults += story.faults
        final = None
        if accepted is not None:
            final = r.Answer("", "", "accept", "", text(str(accepted)))
        who, now = self._clients.of(tx.session), self._time()
        self._keep(transaction(tx, who, story, self._privacy, now, accepted=final))


def _has_facts(tx: Transaction) -> bool:
    """Return whether anything happened in a transaction without a story."""
    return bool(tx.recipients or tx.refused or tx.trap_hits or tx.opinions)


def fan_out(sinks: Sequence[Keep]) -> Keep:
    """Return a function that hands a record to all sinks."""
    if len(sinks) == 1:
        return sinks[0]

    def keep(record: r.Record) -> None:
        for sink in sinks:
            sink(record)

    return keep


class _Budget:
    """`most` records in a second; the first of the next second counts those left out."""

    __slots__ = ("_left", "_most", "_omitted", "_second")

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most
        self._omitted = 0
        self._second = 0

    def spend(self, now: float) -> int:
        """Return how many were left out before this one, -1 if it is to be left out."""
        if int(now) != self._second:
            self._second, self._left = int(now), self._most
        if not self._left:
            self._omitted += 1
            return -1
        self._left -= 1
        omitted, self._omitted = self._omitted, 0
        return omitted


_ACCEPTED: Final = r.Answer("", "", "accept")
# A refusal at one of these hooks is the result of the transaction.
_OF_THE_MESSAGE: Final = frozenset({"data", "headers", "message", "deliver"})
# A refusal at one of these is in the record as the result, or as a refused recipient.
_OF_THE_MAIL: Final = _OF_THE_MESSAGE | {"rcpt"}
