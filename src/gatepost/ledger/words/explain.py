"""Explain a message or a connection in words that can be forwarded.

`explain` turns a story into lines of text: no I/O, the same lines for the same records.

Security: records have texts of clients and plugins. `gatepost.ledger.words.fitting` makes its
lines printable.

Limits: at most MAX_SHOWN entries of each list are shown; the number of the others is.
"""

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from shlex import quote
from typing import NamedTuple, TypeVar

from gatepost.ledger.records import (
    Answer,
    Client,
    Connection,
    Delivery,
    PluginResult,
    RecipientRecord,
    Transaction,
    Trap,
    Verdict,
)
from gatepost.ledger.words.fitting import Line, Part, columns, cut, padded, wrapped
from gatepost.ledger.words.reasons import CORE, Reason, explain_answer, explain_end
from gatepost.ledger.words.story import Story, outcome
from gatepost.ledger.words.wording import (
    FULL,
    counted,
    duration,
    moment,
    number,
    octets,
    on_one_line,
    path,
)

MAX_SHOWN = 20
# Columns of the names on the left.
LABEL = 12
NARROWEST = LABEL + 20

T = TypeVar("T")

_HEADLINES = {
    "accepted": "The message was accepted.",
    "refused": "The message was refused.",
    "deferred": "The message was deferred: the client was asked to try again later.",
    "abandoned": "The client ended the transaction before it had sent a message.",
}
_HELD = "The message was accepted and held in the queue."
_QUARANTINED = "quarantined"
_NO_RECIPIENT = "No recipient was accepted, so the client sent no message."
_OF_TRAPS = frozenset({"trap", "trap-recipient"})
_NO_OBJECTION = Reason(
    "No rule and no plugin objected.",
    "",
    "A refusal needs a rule that matches, such as a trap among the recipients, or a plugin that"
    " denies the message.",
)
# Names in a sentence; the section Answers has all.
MOST_NAMES = 3
_VERBS = {"accept": "accepted", "deny": "refused", "defer": "deferred", "hold": "held"}
_STYLES = {"accept": "accepted", "deny": "refused", "defer": "deferred", "hold": ""}
_BY = {
    "gatepost": "the core",
    "protocol": "the protocol",
    "limits": "a limit",
    "delivery": "the delivery",
    "next hop": "the next hop",
    "mail server": "the mail server",
}


class Row(NamedTuple):
    """A name on the left, "" for none, and a text on the right."""

    name: str
    text: str
    style: str = ""


class Section(NamedTuple):
    """Rows under a title."""

    title: str
    rows: list[Row]


def explain(story: Story, width: int = 80, zone: tzinfo | None = None) -> Iterator[Line]:
    """Yield the lines of a story, each of at most `width` columns, times in `zone`."""
    width = max(width, NARROWEST)
    sentence, style = headline(story)
    for line in wrapped(sentence, width):
        yield (Part(line, style),)
    for title, rows in sections(story, zone):
        if rows:
            yield ()
            yield from ((Part(one, "heading"),) for one in wrapped(title, width) if one)
        for row in rows:
            yield from _lines(row, width)


def _lines(row: Row, width: int) -> Iterator[Line]:
    name = padded(row.name, LABEL - 1)
    if columns(row.name) >= LABEL:
        yield (Part(cut(row.name, width), row.style),)
        name = " " * (LABEL - 1)
    for text in wrapped(row.text, width - LABEL):
        yield Part(f"{name} ", row.style), Part(text)
        name = " " * (LABEL - 1)


def headline(story: Story) -> tuple[str, str]:
    """Return the result of a story as a sentence, and its style: the result, or ""."""
    tx, connection = story.transaction, story.connection
    if tx is not None:
        return _headline(tx), outcome(tx)
    if story.deliveries and connection is None:
        return "The message was accepted earlier; only its deliveries are recorded.", ""
    if connection is None or story.others:
        return f"The connection had {counted(len(story.others), 'transaction')}.", ""
    return explain_end(connection.end).meaning, "" if connection.end in _ENDED else "refused"


def _headline(tx: Transaction) -> str:
    if tx.result == "abandoned" != outcome(tx):
        return _NO_RECIPIENT
    return _HELD if _held(tx.answers) else _HEADLINES[tx.result]


def _held(answers: Sequence[Answer]) -> Answer | None:
    """Return the answer of the core by which a message was held, None if it was not."""
    return next((one for one in answers if one.reason == _QUARANTINED and one.by in _BY), None)


_ENDED = {"quit", "lost"}


def sections(story: Story, zone: tzinfo | None) -> Iterator[Section]:
    """Yield the parts of an explanation; one without rows is not shown."""
    tx, connection = story.transaction, story.connection
    refused = [answer for one in story.others if one.ref == story.ref for answer in one.answers]
    own = [*(connection.answers if connection else ()), *(tx.answers if tx else ())]
    answers = [*own, *refused]
    yield Section("", [*_what(story, zone)])
    yield Section("Why", [*_why(story, answers)])
    yield Section("Answers", _capped([*map(_answer, answers)], "more answers"))
    if tx is not None:
        yield Section("Recipients", _recipients(tx))
        yield Section("Plugins", [*_work_of_plugins(tx)])
    yield Section("Reply to the client", [Row("", one) for one in _final_reply(story)])
    yield Section("Delivery", [*_deliveries(story, zone)])
    yield Section("Messages", [_other(one, zone) for one in story.others[:MAX_SHOWN]])
    changes = [Row("", one) for one in dict.fromkeys(_changes(story, answers)) if one]
    yield Section("What would have to change for the other outcome", changes)


# Who and what


def _what(story: Story, zone: tzinfo | None) -> Iterator[Row]:
    yield Row("Reference", story.ref)
    first = story.transaction or story.connection
    if first is None:
        return
    took = f", took {duration(first.seconds)}" if first.seconds else ""
    yield Row("When", moment(first.time, FULL, zone) + took)
    yield from _client(first.client)
    if isinstance(first, Transaction):
        yield from _message(first)
    if story.connection is not None and story.transaction is not None:
        yield Row("Connection", _end(story.connection))
    if story.connection is not None:
        yield Row("Traffic", _traffic(story.connection))


def _client(client: Client) -> Iterator[Row]:
    port = f" port {client.port}" if client.port else ""
    via = f", through {client.via}" if client.via else ""
    yield Row("Client", f"{client.address}{port}{via}")
    yield from _given(
        ("Name", client.name),
        ("HELO", client.helo),
        ("TLS", f"{client.tls} {client.cipher}" if client.tls else "none"),
        ("Certificate", client.certificate),
        ("User", f"{client.user} ({client.mechanism})" if client.user else ""),
        ("Listener", " ".join(filter(None, (client.protocol, client.listener)))),
        ("XCLIENT", ", ".join(f"{name}={value}" for name, value in client.xclient.items())),
    )


def _message(tx: Transaction) -> Iterator[Row]:
    count = max(tx.recipients_count, len(tx.recipients))
    to = ", ".join(path(one.address) for one in tx.recipients[:3]) or "no recipient"
    more = f" and {number(count - 3)} more" if count > 3 else ""
    yield Row("From", path(tx.sender))
    yield Row("To", to + more)
    yield from _given(
        ("Size", octets(tx.size) if tx.size else ""),
        ("Subject", tx.subject),
        ("From field", tx.header_from),
        ("Message-ID", tx.message_id),
        ("Queue ID", tx.queue_id),
        ("Sent by", f"the plugin {tx.plugin}" if tx.plugin else ""),
    )


def _end(connection: Connection) -> str:
    return f"{explain_end(connection.end).meaning} {connection.problem}".rstrip()


def _traffic(connection: Connection) -> str:
    both = f"{octets(connection.received)} received, {octets(connection.sent)} sent"
    return f"{counted(connection.transactions, 'transaction')}, {both}"


def _given(*rows: tuple[str, str]) -> Iterator[Row]:
    return (Row(name, text) for name, text in rows if text)


# Why


def _why(story: Story, answers: Sequence[Answer]) -> Iterator[Row]:
    for reason, answer in _deciding(story, answers):
        if answer is not None:
            yield Row("Decided by", f"{_author(answer)}{_at(answer)}")
        yield from _given(
            ("Reason", answer.reason if answer else ""),
            ("Meaning", reason.meaning),
            ("Setting", reason.setting),
        )
    main = story.transaction or story.connection
    if main is not None:
        yield from _given(("Problem", main.problem))
    if story.transaction is not None:
        yield from _traps(story.transaction)


def _deciding(story: Story, answers: Sequence[Answer]) -> list[tuple[Reason, Answer | None]]:
    """Return the answers that led to the outcome, each reason once."""
    found: dict[Reason, Answer | None] = {}
    for answer in _objections(story, answers):
        found.setdefault(explain_answer(answer), answer)
    if not found:
        found.update(dict.fromkeys(_without_objection(story, answers)))
    return list(found.items())[:MAX_SHOWN]


def _changes(story: Story, answers: Sequence[Answer]) -> Iterator[str]:
    for reason, answer in _deciding(story, answers):
        yield reason.change
        if answer is not None and answer.reason in _OF_TRAPS and story.transaction is not None:
            traps = story.transaction.traps[:MAX_SHOWN]
            entries = dict.fromkeys(trap.entry for trap in traps if trap.line)
            yield from (f"gatepost traps remove {quote(one)}" for one in entries)


def _objections(story: Story, answers: Sequence[Answer]) -> Iterator[Answer]:
    tx = story.transaction
    objections = [one for one in answers if one.verdict != "accept" and not one.shadow]
    if tx is None or tx.result in ("accepted", "abandoned") or not (tx.by or tx.reason):
        yield from objections
        return
    decided = [one for one in objections if (one.by, one.reason) == (tx.by, tx.reason)]
    verdict: Verdict = "deny" if tx.result == "refused" else "defer"
    yield from decided[-1:] or [Answer("", tx.by, verdict, tx.reason, tx.reply)]


def _without_objection(story: Story, answers: Sequence[Answer]) -> Iterator[Reason]:
    tx, connection = story.transaction, story.connection
    if tx is None or tx.result == "abandoned":
        yield from [] if connection is None else [explain_end(connection.end)]
    else:
        yield from _accepted(answers) if tx.result == "accepted" else [CORE["not-delivered"]]


def _accepted(answers: Sequence[Answer]) -> Iterator[Reason]:
    """Yield why a message was accepted: opinions without effect may have objected."""
    held = _held(answers)
    if held is not None:
        yield explain_answer(held)
        return
    objections = [one for one in answers if one.shadow and one.verdict != "accept"]
    entries = [*dict.fromkeys(one.allowed for one in objections if one.allowed)]
    yield from (_allowed(entry, objections) for entry in entries)
    names = [*dict.fromkeys(one.by for one in objections if one.by not in _BY and not one.allowed)]
    if names:
        yield _in_shadow_mode(names)
    elif not entries:
        yield _NO_OBJECTION


def _allowed(entry: str, objections: Sequence[Answer]) -> Reason:
    """Return the reason of mail that an entry of `gatepost allow` covers."""
    authors = [*dict.fromkeys(_author(one) for one in objections if one.allowed == entry)]
    return Reason(
        f"Allowed: {entry}. Otherwise it would have been refused, deferred or held by"
        f" {_listed(authors)}.",
        "gatepost allow",
        f"gatepost allow remove {quote(entry.partition(' until ')[0])}",
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_NAMES]) + (" and others" if len(names) > MOST_NAMES else "")


def _in_shadow_mode(names: Sequence[str]) -> Reason:
    shown = _listed(names)
    return Reason(
        f"Plugins in shadow mode would have refused, deferred or held it: {shown}. No other rule or"
        " plugin objected.",
        'plugin (action = "log")',
        f'Remove action = "log" from the [[plugin]] of: {shown}.',
    )


def _author(answer: Answer) -> str:
    return _BY.get(answer.by) or f"the plugin {answer.by}"


def _at(answer: Answer) -> str:
    at = f" at {answer.hook}" if answer.hook else ""
    return at + (f", about {answer.about}" if answer.about else "")


def _traps(tx: Transaction) -> Iterator[Row]:
    for trap in tx.traps[:MAX_SHOWN]:
        yield Row("Trap", _trap(trap))
    more = max(tx.traps_count, len(tx.traps)) - len(tx.traps[:MAX_SHOWN])
    if more > 0:
        yield Row("", f"and {counted(more, 'more trap')}")
    if tx.shadowed:
        yield Row("", "Shadow mode let the message pass in spite of its traps.")


def _trap(trap: Trap) -> str:
    line = f", line {trap.line}" if trap.line else ""
    kind = f", {trap.trap_class}" if trap.trap_class else ""
    note = f", note: {trap.note}" if trap.note else ""
    result = f", result: {trap.treatment}" if trap.treatment else ""
    shadow = " (without effect)" if trap.shadow else ""
    found = f"entry {trap.entry} in" if trap.line else f"{trap.entry},"
    return f"{path(trap.address)}: {found} {trap.list}{line}{kind}{note}{result}{shadow}"


# Answers, recipients, deliveries


def _answer(answer: Answer) -> Row:
    verb = "would have " * answer.shadow + _VERBS[answer.verdict]
    words = [f"{_author(answer)} {verb}" + (f" {answer.about}" if answer.about else "")]
    words += [answer.reason] if answer.reason else []
    words += [duration(answer.seconds)] if answer.seconds else []
    words += [on_one_line(answer.reply)] if answer.reply else []
    words += [f"allowed: {answer.allowed}"] if answer.allowed else []
    style = "" if answer.shadow else _STYLES[answer.verdict]
    return Row(answer.hook or "-", ", ".join(words), style)


def _recipients(tx: Transaction) -> list[Row]:
    rows = _capped([*map(_recipient, tx.recipients)], "more recipients")
    rows += [Row("replaced", path(one)) for one in tx.replaced[:MAX_SHOWN]]
    missing = tx.recipients_count - len(tx.recipients)
    return [*rows, Row("", f"and {number(missing)} not recorded")] if missing > 0 else rows


def _recipient(rcpt: RecipientRecord) -> Row:
    words = [path(rcpt.address)]
    words += [f"route {rcpt.route}"] if rcpt.route else []
    words += ["added by a plugin"] if rcpt.added else []
    words += [on_one_line(rcpt.reply)] if rcpt.reply else []
    return Row(rcpt.result, ", ".join(words), rcpt.result)


def _work_of_plugins(tx: Transaction) -> Iterator[Row]:
    yield from _given(("Score", f"{tx.score:g}" if tx.score else ""))
    yield from _capped([_found(one) for one in tx.results], "more results")
    for name, texts in (("Edits", tx.edits), ("Changes", tx.changes)):
        yield from _capped([Row(name, text) for text in texts], "more")


def _found(one: PluginResult) -> Row:
    """Return what a plugin found: the value, its points, the reason, the facts."""
    words = [on_one_line(one.value)]
    words += [f"{one.score:+g} points"] if one.score else []
    words += [on_one_line(one.reason)] if one.reason else []
    words += [on_one_line(f"{name}={value}") for name, value in one.facts.items() if value != ""]
    return Row(on_one_line(one.name), ", ".join(words))


def _final_reply(story: Story) -> Iterator[str]:
    tx, connection = story.transaction, story.connection
    if tx is not None:
        yield from tx.reply.splitlines()
    elif connection is not None:
        yield from connection.reply.splitlines()


def _deliveries(story: Story, zone: tzinfo | None) -> Iterator[Row]:
    tx = story.transaction
    if tx is not None:
        for hop, reply in tx.next_hops.items():
            yield Row("delivered", f"to {hop} before the reply: {on_one_line(reply)}", "accepted")
    yield from _capped([_delivery(one, zone) for one in story.deliveries], "more attempts")


def _delivery(one: Delivery, zone: tzinfo | None) -> Row:
    count = max(one.recipients_count, len(one.recipients))
    to = ", ".join(map(path, one.recipients[:3])) + (f" and {count - 3} more" if count > 3 else "")
    words = [
        f"{moment(one.time, FULL, zone)} {one.destination}",
        *filter(None, [to, on_one_line(one.reply)]),
    ]
    words += [one.detail] if one.detail else []
    return Row(one.result, ", ".join(words), one.result)


def _other(tx: Transaction, zone: tzinfo | None) -> Row:
    words = [tx.ref, moment(tx.time, FULL, zone), "from", path(tx.sender), tx.reason]
    return Row(tx.result, " ".join(filter(None, words)), tx.result)


def _capped(rows: list[Row], more: str) -> list[Row]:
    rest = len(rows) - MAX_SHOWN
    return [*rows[:MAX_SHOWN], Row("", f"and {rest} {more}")] if rest > 0 else rows
