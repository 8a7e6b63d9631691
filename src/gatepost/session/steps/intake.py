"""The steps of the content: DATA, BDAT, the header block, the end of the message, its delivery."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from gatepost.model.decision import Decision, Verdict
from gatepost.model.facts import set_fact
from gatepost.model.headers import Headers
from gatepost.model.message import Message
from gatepost.model.reply import Reply
from gatepost.model.session import Hold, Transaction
from gatepost.plugin import trouble
from gatepost.plugin.chain import Answer
from gatepost.plugin.hooks import accepting
from gatepost.session import answers, rules
from gatepost.session import replies as r
from gatepost.session.answers import Ruling
from gatepost.session.content.auth_results import remove_ours, results_field
from gatepost.session.content.missing import complete
from gatepost.session.content.scan import HeaderScan
from gatepost.session.content.trace import received
from gatepost.session.conversation import Conversation, Result
from gatepost.session.steps.step import Step, refusal, run, wait
from gatepost.session.traps.evidence import judge_content
from gatepost.session.traps.mark import add_field, mark, remove_fields
from gatepost.session.traps.unknown import count_unknown
from gatepost.session.traps.verdict import MARKS, hardest, has_only_traps, is_held
from gatepost.wire import events as e
from gatepost.wire.smtp.replies import START_MAIL_INPUT

# The hooks.
_HEADERS: Final = "headers"
_MESSAGE: Final = "message"

_TRAP: Final = Hold("trap", answers.CORE)


class _OfMessage(Step):
    """A step of the open transaction."""

    __slots__ = ("tx",)

    def __init__(self, talk: Conversation, hook: str) -> None:
        super().__init__(talk, hook)
        assert talk.tx is not None
        self.tx = talk.tx

    @property
    def args(self) -> tuple[Transaction] | tuple[Transaction, Headers]:
        return (self.tx,)

    def proceed(self, answer: Answer | None) -> Result:
        return r.OK if answer is None else accepting(r.OK, answer.decision)


class _Data(_OfMessage):
    """DATA or the first BDAT; a refusal ends the transaction."""

    def __init__(self, talk: Conversation) -> None:
        """Look for many unknown recipients before anything is decided, as for traps at RCPT."""
        super().__init__(talk, "data")
        if self.tx.refused:
            count_unknown(talk.setup.traps, self.tx, talk.setup.is_local)

    def rule(self) -> Ruling:
        if not self.tx.trap_hits:
            return None
        traps = self.talk.setup.traps
        if hardest(self.tx) in MARKS:
            mark(traps, self.tx)
        return self.talk.dialect.trap_rule(traps, self.tx)

    def proceed(self, answer: Answer | None) -> Reply:
        self.talk.begin_message(self.tx)
        return START_MAIL_INPUT if answer is None else accepting(START_MAIL_INPUT, answer.decision)

    def refused(self, reply: Reply) -> Result:
        return self.talk.reset_and(reply)


class _Headers(_OfMessage):
    """The header block; there is no reply."""

    __slots__ = ("_headers",)

    def __init__(self, talk: Conversation, headers: Headers) -> None:
        super().__init__(talk, _HEADERS)
        self._headers = headers

    @property
    def args(self) -> tuple[Transaction, Headers]:
        return self.tx, self._headers

    def proceed(self, answer: Answer | None) -> Reply:  # noqa: ARG002 - there is no reply
        return r.OK


class _Message(_OfMessage):
    """The whole message."""

    def rule(self) -> Ruling:
        """Refuse a message for its traps after the content, or hold it."""
        if not self.tx.trap_hits:
            return None
        traps = self.talk.setup.traps
        answer = rules.trap_rule_at_end(traps, self.tx)
        if answer is not None and is_held(traps, self.tx):
            self.talk.held = _TRAP
            return None
        return answer


class _Deliver(_OfMessage):
    """The delivery."""

    def rule(self) -> Ruling:
        """Ask no plugin to take a message that is held.

        One that is held for its traps is refused if a plugin has given it to a user meanwhile.
        """
        if self.talk.held and not has_only_traps(self.tx):
            return rules.trap_rule_at_end(self.talk.setup.traps, self.tx)
        return None if self._held() is None else answers.QUARANTINE

    def proceed(self, answer: Answer | None) -> Result:
        """Hand the message over, unless it is quarantined or a plugin has taken it."""
        talk, tx = self.talk, self.tx
        message, acting = tx.message, tx.acting
        if message is not None:
            _end_edits(tx, message)
        if acting is not None:
            acting.sealed = True
        held = self._held()
        if held is not None:
            return talk.dialect.hold(talk.setup, tx, held)
        if answer is None:
            return talk.dialect.hand_over(talk.setup, tx)
        return _taken(talk, answer, tx)

    def _held(self) -> Hold | None:
        """Return why the message is held, None if it is not."""
        acting = self.tx.acting
        return self.talk.held or (None if acting is None else acting.held)


async def _taken(talk: Conversation, answer: Answer, tx: Transaction) -> Reply:
    result = talk.dialect.taken(talk.setup, tx)
    reply = result if isinstance(result, Reply) else await result
    return accepting(reply, answer.decision)


def _end_edits(tx: Transaction, message: Message) -> None:
    """Permit no more edits; declare 8-bit content if a plugin has added it (RFC 6152)."""
    message.seal()
    if message.needs_8bitmime:
        set_fact(tx, "params", {**tx.params, "BODY": "8BITMIME"})


def data(talk: Conversation, _event: e.Data) -> Result:
    """Decide whether content may follow."""
    return run(_Data(talk))


def chunk(talk: Conversation, event: e.Bdat) -> Result:
    """Decide at the first chunk as at DATA; later ones follow that decision."""
    return run(_Data(talk)) if event.first else START_MAIL_INPUT


def take(talk: Conversation, event: e.Content) -> Coroutine[Any, Any, None] | None:
    """Store content; once the header block is complete, show it to plugins."""
    tx, data = talk.tx, event.data
    message = None if tx is None or talk.refusal is not None else tx.message
    if tx is None or message is None:
        return None
    try:
        message.write(data)
    except OSError as error:
        _storage_failed(talk, tx, str(error))
        return None
    if message.watches:
        message.received(data)
    if talk.scan is not None and talk.scan.add(data):
        _scanned(talk, tx, talk.scan)
    if talk.headers is not None and talk.headers.add(data):
        return _read_headers(talk)
    return None


def _storage_failed(talk: Conversation, tx: Transaction, problem: str) -> None:
    talk.recorder.storage_failed(tx, problem)
    talk.refusal = refusal(talk, _MESSAGE, answers.STORAGE, (tx,))


def _scanned(talk: Conversation, tx: Transaction, scan: HeaderScan) -> None:
    """Use the result of the scan. Refuse a message that loops, at its end."""
    talk.scan = None
    set_fact(tx, "message_id", scan.message_id or "")
    if talk.refusal is not None:
        return
    if scan.looped:
        talk.refusal = refusal(talk, _MESSAGE, answers.MAIL_LOOP, (tx,))
    elif scan.too_many:
        talk.refusal = refusal(talk, _MESSAGE, answers.TOO_MANY_HOPS, (tx,))
    else:
        if talk.completes and talk.session.auth is not None:
            complete(tx, scan, talk.setup.hostname)
        if scan.has_results and talk.dialect.foreign:
            _remove_results(talk, tx)
        if scan.has_mark and talk.dialect.foreign:
            _remove(talk, tx, remove_fields)


def _remove_results(talk: Conversation, tx: Transaction) -> None:
    """Remove forged results."""
    _remove(talk, tx, lambda message: remove_ours(message, talk.setup.hostname))


def _remove(talk: Conversation, tx: Transaction, fields: Callable[[Message], object]) -> None:
    """Remove forged fields; refuse a message that cannot be edited."""
    assert tx.message is not None
    try:
        fields(tx.message)
    except ValueError:
        talk.refusal = refusal(talk, _MESSAGE, answers.HEADER_TOO_LONG, (tx,))


def _add_results(talk: Conversation, tx: Transaction, message: Message) -> Reply | None:
    """Add the results of plugins; return the refusal of a message that cannot be edited."""
    field = b"" if tx.found is None else results_field(tx.found, talk.setup.hostname)
    if field:
        _remove_results(talk, tx)
        message.add_trace(field)
    return talk.refusal


def _read_headers(talk: Conversation) -> Coroutine[Any, Any, None] | None:
    """Show the header block to plugins, once; a refusal waits for the end of the message."""
    headers, talk.headers = talk.headers, None
    if headers is None or talk.refusal is not None:
        return None
    if headers.too_long:
        talk.refusal = refusal(talk, _HEADERS, answers.HEADER_TOO_LONG)
        return None
    message = talk.message
    edited = None if message is None or not message.edits else message.headers()
    result = run(_Headers(talk, edited or headers.parse()))
    if not isinstance(result, Reply):
        return _headers_decided_later(talk, result)
    _headers_decided(talk, result)
    return None


async def _headers_decided_later(talk: Conversation, pending: Coroutine[Any, Any, Reply]) -> None:
    _headers_decided(talk, await pending)


def _headers_decided(talk: Conversation, reply: Reply) -> None:
    if reply.code >= 400:
        talk.refusal = reply


def end_of_message(talk: Conversation, _event: e.EndOfMessage) -> Result:
    """Decide about the whole message and hand it over."""
    tx = talk.tx
    message = None if tx is None or talk.refusal is not None else tx.message
    if tx is not None and message is not None:
        try:
            message.complete()
        except OSError as error:
            _storage_failed(talk, tx, str(error))
    if talk.scan is not None and tx is not None:
        talk.scan.finish()
        _scanned(talk, tx, talk.scan)
    reading = None if talk.headers is None else _read_headers(talk)
    return _decide(talk, tx) if reading is None else _decide_later(talk, tx, reading)


async def _decide_later(
    talk: Conversation, tx: Transaction | None, reading: Coroutine[Any, Any, None]
) -> Reply:
    await reading
    result = _decide(talk, tx)
    return result if isinstance(result, Reply) else await result


def _decide(talk: Conversation, tx: Transaction | None) -> Result:
    message = None if tx is None else tx.message
    if tx is not None and message is not None:
        if tx.trap_hits:
            judge_content(tx, message)
        if message.watches:
            _log_failed_watches(tx, message)
    result = _refuse(talk, talk.refusal) if talk.refusal else run(_Message(talk, _MESSAGE))
    return _conclude(talk, tx, result)


def refuse_early(talk: Conversation, reply: Reply) -> Result:
    """Refuse a message before its end, for a client that expects that."""
    return _conclude(talk, talk.tx, _refuse(talk, reply))


def _refuse(talk: Conversation, reply: Reply) -> Result:
    """Return a refusal that was certain before the end of the message, or what ends with it."""
    delay = talk.setup.refusal_delay
    return _wait_and(talk, delay, reply) if delay else reply


async def _wait_and(talk: Conversation, delay: float, reply: Reply) -> Reply:
    await wait(talk, delay)
    return reply


def _conclude(talk: Conversation, tx: Transaction | None, result: Result) -> Result:
    """Do what follows from the decision about a message, or return what ends with it."""
    if isinstance(result, Reply):
        return _decided(talk, tx, result)
    return _decided_later(talk, tx, result)


async def _decided_later(
    talk: Conversation, tx: Transaction | None, deciding: Coroutine[Any, Any, Reply]
) -> Reply:
    result = _decided(talk, tx, await deciding)
    return result if isinstance(result, Reply) else await result


def _decided(talk: Conversation, tx: Transaction | None, reply: Reply) -> Result:
    """Drop a message that is refused, hand any other one over."""
    if reply.code < 400 and talk.tx is not None:
        return _hand_over(talk, talk.tx, None if reply is r.OK else reply)
    acting = None if tx is None else tx.acting
    if acting is not None and acting.named is not None:
        reply = acting.replies({}, reply)
    return talk.reset_and(reply)


def _log_failed_watches(tx: Transaction, message: Message) -> None:
    for watch in message.watches:
        if watch.error is not None:
            trouble.failed(watch.author.plugin, "watch", watch.error, (tx,))


def _hand_over(talk: Conversation, tx: Transaction, spoken: Reply | None) -> Result:
    """Deliver; `spoken` has the words of a plugin for the reply that accepts the message."""
    names, message = talk.dialect.with_names, tx.message
    if message is not None and tx.found is not None:
        refused = _add_results(talk, tx, message)
        if refused is not None:
            return talk.reset_and(refused)
        add_field(tx, message)
    if message is not None and names is not None:
        message.add_trace(received(tx, talk.setup.hostname, names))
    result = run(_Deliver(talk, "deliver"))
    if isinstance(result, Reply) and not talk.notifies("delivered"):
        return _delivered(talk, tx, result, spoken)
    return _deliver_later(talk, tx, result, spoken)


def _delivered(talk: Conversation, tx: Transaction, reply: Reply, spoken: Reply | None) -> Result:
    if reply.code >= 400:
        return talk.reset_and(reply)
    reply = _accepted(talk, tx, reply, spoken)
    talk.close(tx)
    return reply


async def _deliver_later(
    talk: Conversation, tx: Transaction, result: Result, spoken: Reply | None
) -> Reply:
    """Wait for the delivery, then for the plugins that are notified of it."""
    talk.delivering = True
    try:
        reply = result if isinstance(result, Reply) else await result
        if reply.code < 400:
            reply = _accepted(talk, tx, reply, spoken)
            await talk.notify("delivered", tx)
            talk.close(tx)
    finally:
        talk.delivering = False
    await talk.reset()
    return reply


def _accepted(talk: Conversation, tx: Transaction, reply: Reply, spoken: Reply | None) -> Reply:
    """Record a message that is accepted; return the reply to its end."""
    if spoken is not None:
        reply = accepting(reply, Decision(Verdict.ACCEPT, spoken.text, spoken.code))
    talk.errors = talk.idle_commands = 0
    set_fact(talk.session, "messages", talk.session.messages + 1)
    message, acting = tx.message, tx.acting
    if message is not None and message.edits:
        talk.recorder.edited(tx, message)
    if message is not None and message.shadowed_edits:
        talk.recorder.would_have_edited(tx, message.shadowed_edits)
    if acting is not None and acting.changes:
        talk.recorder.recipients_changed(tx, acting.changes)
    talk.recorder.accepted(tx, reply)
    return reply
