"""The steps of the content: DATA, BDAT, the header block, the end of the message, its delivery."""

from collections.abc import Callable, Coroutine
from typing import Any

from gatepost.model.decision import Decision, Verdict
from gatepost.model.facts import set_fact
from gatepost.model.headers import Headers
from gatepost.model.message import Message
from gatepost.model.reply import Reply
from gatepost.model.session import Transaction
from gatepost.plugin import trouble
from gatepost.plugin.chain import Answer
from gatepost.plugin.hooks import accepting
from gatepost.session import replies as r
from gatepost.session import rules
from gatepost.session.content.auth_results import remove_ours, results_field
from gatepost.session.content.missing import complete
from gatepost.session.content.scan import HeaderScan
from gatepost.session.content.trace import received
from gatepost.session.conversation import Conversation, Result
from gatepost.session.steps.step import Step, refusal, run, wait
from gatepost.session.traps.evidence import judge_content
from gatepost.session.traps.mark import add_field, mark, remove_fields
from gatepost.session.traps.unknown import count_unknown
from gatepost.session.traps.verdict import MARKS, hardest, is_held
from gatepost.wire import events as e
from gatepost.wire.smtp.replies import START_MAIL_INPUT


def _begin(talk: Conversation, _event: object) -> tuple[Transaction]:
    assert talk.tx is not None
    return (talk.tx,)


def _begin_data(talk: Conversation, _event: object) -> tuple[Transaction]:
    """Look for many unknown recipients before anything is decided, as for traps at RCPT."""
    tx = talk.tx
    assert tx is not None
    if tx.refused:
        count_unknown(talk.setup.traps, tx, talk.setup.is_local)
    return (tx,)


def _data_rule(talk: Conversation, tx: Transaction) -> Answer | None:
    if not tx.trap_hits:
        return None
    if hardest(tx) in MARKS:
        mark(talk.setup.traps, tx)
    return talk.dialect.trap_rule(talk.setup.traps, tx)


def _message_rule(talk: Conversation, tx: Transaction) -> Answer | None:
    """Refuse a message for its traps after the content, or hold it."""
    if not tx.trap_hits:
        return None
    answer = rules.trap_rule_at_end(talk.setup.traps, tx)
    if answer is not None and is_held(talk.setup.traps, tx):
        talk.held = "trap"
        return None
    return answer


def _data(talk: Conversation, answer: Answer | None, tx: Transaction) -> Reply:
    talk.begin_message(tx)
    return START_MAIL_INPUT if answer is None else accepting(START_MAIL_INPUT, answer.decision)


async def _refused_data(talk: Conversation, _reply: Reply, _tx: Transaction) -> None:
    await talk.reset()


def _begin_headers(talk: Conversation, headers: Headers) -> tuple[Transaction, Headers]:
    assert talk.tx is not None
    return talk.tx, headers


def _keep_headers(
    _talk: Conversation, _answer: Answer | None, _tx: Transaction, _: Headers
) -> Reply:
    return r.OK


def _keep(_talk: Conversation, answer: Answer | None, _tx: Transaction) -> Reply:
    return r.OK if answer is None else accepting(r.OK, answer.decision)


def _deliver(talk: Conversation, answer: Answer | None, tx: Transaction) -> Result:
    """Hand the message over, unless it is quarantined or a plugin has taken it."""
    if tx.message is not None:
        _end_edits(tx, tx.message)
    if tx.acting is not None:
        tx.acting.sealed = True
    if reason := _held(talk, tx):
        return talk.dialect.hold(talk.setup, tx, reason)
    if answer is None:
        return talk.dialect.hand_over(talk.setup, tx)
    return _taken(talk, answer, tx)


def _held(talk: Conversation, tx: Transaction) -> str:
    """Return why a message is held, "" if it is not."""
    return talk.held or ("" if tx.acting is None else tx.acting.quarantined)


def _deliver_rule(talk: Conversation, tx: Transaction) -> Answer | None:
    """Ask no plugin to take a message that is held."""
    return rules.QUARANTINE if _held(talk, tx) else None


async def _taken(talk: Conversation, answer: Answer, tx: Transaction) -> Reply:
    result = talk.dialect.taken(talk.setup, tx)
    reply = result if isinstance(result, Reply) else await result
    return accepting(reply, answer.decision)


def _end_edits(tx: Transaction, message: Message) -> None:
    """Permit no more edits; declare 8-bit content if a plugin has added it (RFC 6152)."""
    message.seal()
    if message.needs_8bitmime:
        set_fact(tx, "params", {**tx.params, "BODY": "8BITMIME"})


# DATA and the first BDAT
DATA: Step[e.Data | e.Bdat, Transaction] = Step(
    "data", _begin_data, _data, _data_rule, _refused_data
)
HEADERS = Step("headers", _begin_headers, _keep_headers)
MESSAGE: Step[None, Transaction] = Step("message", _begin, _keep, _message_rule)
DELIVER: Step[None, Transaction] = Step("deliver", _begin, _deliver, _deliver_rule)


def chunk(talk: Conversation, event: e.Bdat) -> Result:
    """Decide at the first chunk as at DATA; later ones follow that decision."""
    return run(talk, DATA, event) if event.first else START_MAIL_INPUT


def take(talk: Conversation, event: e.Content) -> Coroutine[Any, Any, None] | None:
    """Store content; once the header block is complete, show it to plugins."""
    tx = talk.tx
    if talk.refusal is not None or tx is None or tx.message is None:
        return None
    try:
        tx.message.write(event.data)
    except OSError as error:
        _storage_failed(talk, tx, str(error))
        return None
    if tx.message.watches:
        tx.message.received(event.data)
    if talk.scan is not None and talk.scan.add(event.data):
        _scanned(talk, tx, talk.scan)
    if talk.headers is not None and talk.headers.add(event.data):
        return _read_headers(talk)
    return None


def _storage_failed(talk: Conversation, tx: Transaction, problem: str) -> None:
    talk.recorder.storage_failed(tx, problem)
    talk.refusal = refusal(talk, MESSAGE.hook, rules.STORAGE, (tx,))


def _scanned(talk: Conversation, tx: Transaction, scan: HeaderScan) -> None:
    """Use the result of the scan. Refuse a message that loops, at its end."""
    talk.scan = None
    set_fact(tx, "message_id", scan.message_id or "")
    if talk.refusal is not None:
        return
    if scan.looped:
        talk.refusal = refusal(talk, MESSAGE.hook, rules.MAIL_LOOP, (tx,))
    elif scan.too_many:
        talk.refusal = refusal(talk, MESSAGE.hook, rules.TOO_MANY_HOPS, (tx,))
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
        talk.refusal = refusal(talk, MESSAGE.hook, rules.HEADER_TOO_LONG, (tx,))


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
        talk.refusal = refusal(talk, HEADERS.hook, rules.HEADER_TOO_LONG)
        return None
    message = talk.message
    edited = None if message is None or not message.edits else message.headers()
    result = run(talk, HEADERS, edited or headers.parse())
    # A refusal is never a reply at once: it may have to wait.
    return None if isinstance(result, Reply) else _headers_decided(talk, result)


async def _headers_decided(talk: Conversation, pending: Coroutine[Any, Any, Reply]) -> None:
    reply = await pending
    if reply.code >= 400:
        talk.refusal = reply


def end_of_message(talk: Conversation, _event: e.EndOfMessage) -> Result:
    """Decide about the whole message and hand it over."""
    tx = talk.tx
    if talk.refusal is None and tx is not None and tx.message is not None:
        try:
            tx.message.complete()
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
    if tx is not None and tx.message is not None and tx.trap_hits:
        judge_content(tx, tx.message)
    if tx is not None and tx.message is not None and tx.message.watches:
        _log_failed_watches(tx, tx.message)
    if talk.refusal is not None:
        return _refuse(talk, tx, talk.refusal)
    result = run(talk, MESSAGE, None)
    return (
        _decided(talk, tx, result)
        if isinstance(result, Reply)
        else _decided_later(talk, tx, result)
    )


def refuse_early(talk: Conversation, reply: Reply) -> Coroutine[Any, Any, Reply]:
    """Refuse a message before its end, for a client that expects that."""
    return _refuse(talk, talk.tx, reply)


async def _refuse(talk: Conversation, tx: Transaction | None, reply: Reply) -> Reply:
    await wait(talk, talk.setup.refusal_delay)
    result = _decided(talk, tx, reply)
    return result if isinstance(result, Reply) else await result


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
    names = talk.dialect.with_names
    if tx.message is not None and tx.found is not None:
        refused = _add_results(talk, tx, tx.message)
        if refused is not None:
            return talk.reset_and(refused)
        add_field(tx, tx.message)
    if tx.message is not None and names is not None:
        tx.message.add_trace(received(tx, talk.setup.hostname, names))
    result = run(talk, DELIVER, None)
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
    if tx.message is not None and tx.message.edits:
        talk.recorder.edited(tx, tx.message)
    if tx.message is not None and tx.message.shadowed_edits:
        talk.recorder.would_have_edited(tx, tx.message.shadowed_edits)
    if tx.acting is not None and tx.acting.changes:
        talk.recorder.recipients_changed(tx, tx.acting.changes)
    talk.recorder.accepted(tx, reply)
    return reply
