"""The log line of a transaction, made from its record.

`Line` has the fields; one that a line does not have is UNSET.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET
from msgspec.structs import astuple

from gatepost.ledger.records import Answer, Client, PluginResult, RecipientRecord, Transaction, Trap
from gatepost.log.listed import LISTED
from gatepost.model.endpoint import endpoint_text
from gatepost.model.structs import Leaf

# Characters of a reply in a list: enough for the queue ID of a next hop.
MAX_REPLY: Final = 200

_Text: TypeAlias = str | msgspec.UnsetType
_Number: TypeAlias = int | msgspec.UnsetType
_Texts: TypeAlias = list[str] | msgspec.UnsetType


class Line(Leaf, gc=False):
    """The fields of the line in their order: what decided, the client, the envelope, the rare ones.

    Security: the fields in front of `peer` come from the server and from plugins, not from the
    client, so that a filter of the log finds the right address.
    """

    hook: _Text = UNSET
    by: _Text = UNSET
    reason: _Text = UNSET
    reply: _Text = UNSET
    refused_for: _Texts = UNSET
    refused_for_count: _Number = UNSET
    ref: str = ""
    peer: str = ""
    helo: str = ""
    user: _Text = UNSET
    tls: _Text = UNSET
    sender: str = ""
    recipients: _Texts = UNSET
    recipients_count: _Number = UNSET
    refused: _Texts = UNSET
    refused_count: _Number = UNSET
    size: int = 0
    message_id: str = ""
    traps: _Texts = UNSET
    traps_count: _Number = UNSET
    would: _Texts = UNSET
    would_count: _Number = UNSET
    results: _Texts = UNSET
    results_count: _Number = UNSET
    edits: _Texts = UNSET
    edits_count: _Number = UNSET
    changes: _Texts = UNSET
    changes_count: _Number = UNSET
    next_hops: _Texts = UNSET
    next_hops_count: _Number = UNSET
    shadowed: bool | msgspec.UnsetType = UNSET
    faults: _Number = UNSET
    plugin: _Text = UNSET
    problem: _Text = UNSET
    queue_id: _Text = UNSET
    event: str = ""


def line_of(record: Transaction) -> Line:
    """Return the line of a transaction."""
    # One call for all fields: looking each of them up would cost as much as the rest.
    values: tuple[Any, ...] = astuple(record)
    # fmt: off
    (
        _time, ref, _session, client, sender, result, by, reason, reply, _seconds, recipients,
        count, size, message_id, _from, _subject, answers, traps, _traps_count, shadowed, results,
        _score, edits, changes, next_hops, plugin, problem, hook, refused_count, faults,
        queue_id,
    ) = values[:_VALUES]
    # fmt: on
    unset = UNSET  # a look-up of the module's name takes longer than the rest of an argument
    decided = bool(answers and by and result != "accepted")
    line = Line(
        hook=hook if decided and hook else unset,
        by=by if decided else unset,
        reason=reason if decided else unset,
        reply=reply if decided else unset,
        ref=ref,
        peer=peer_of(client),
        helo=client.helo,
        user=client.user or unset,
        tls=client.tls or unset,
        sender=sender or "<>",
        size=size,
        message_id=message_id,
        event="submitted" if plugin else result,
    )
    if refused_count or count > LISTED:
        _add_recipients(line, recipients, count, refused_count)
    else:
        line.recipients = [one.address for one in recipients]
    if traps:
        _add_list(line, "traps", _traps(traps))
    if answers:
        _add_answers(line, answers, reason if decided else "")
    if results or edits or changes or next_hops:
        _add_lists(line, record)
    if shadowed or faults or plugin or problem or queue_id:
        _add_others(line, record)
    return line


def peer_of(client: Client) -> str:
    """Return the address and port of a client as text."""
    return endpoint_text(client.address, client.port)


def _add_list(line: Line, name: str, values: Sequence[str], count: int = 0) -> None:
    """Add the first values; if there are more, add the number of all, at least `count`."""
    setattr(line, name, list(values[:LISTED]))
    count = max(count, len(values))
    if count > LISTED:
        setattr(line, f"{name}_count", count)


def _add_answers(line: Line, answers: Sequence[Answer], decided: str) -> None:
    """Add the reasons of other refusals, and what plugins in shadow mode would have decided."""
    reasons = dict.fromkeys([one.reason for one in answers if _is_refusal(one)])
    others = [one for one in reasons if one and one != decided]
    if others:
        _add_list(line, "refused_for", others)
    would = [_would(one) for one in answers if one.shadow]
    if would:
        _add_list(line, "would", would)


def _is_refusal(answer: Answer) -> bool:
    return bool(answer.hook) and answer.verdict != "accept" and not answer.shadow


def _add_recipients(
    line: Line, recipients: Sequence[RecipientRecord], count: int, refused_count: int
) -> None:
    """Add the accepted recipients, and the refused ones with their replies."""
    accepted = [one.address for one in recipients if not one.reply]
    _add_list(line, "recipients", accepted, count - refused_count)
    if refused_count:
        refused = [f"{one.address}: {one.reply[:MAX_REPLY]}" for one in recipients if one.reply]
        _add_list(line, "refused", refused, refused_count)


def _add_lists(line: Line, record: Transaction) -> None:
    texts = {
        "results": [_result(one) for one in record.results],
        "edits": record.edits,
        "changes": record.changes,
        "next_hops": [f"{hop}: {text[:MAX_REPLY]}" for hop, text in record.next_hops.items()],
    }
    for name, found in texts.items():
        if found:
            _add_list(line, name, found)


def _add_others(line: Line, record: Transaction) -> None:
    for name in ("shadowed", "faults", "plugin", "problem", "queue_id"):
        value = getattr(record, name)
        if value:
            setattr(line, name, value)


def _would(answer: Answer) -> str:
    """Return what a plugin would have decided, and the entry that has allowed the mail."""
    text = f"{answer.verdict} {answer.reason} ({answer.by}, {answer.hook})"
    text += f", allowed: {answer.allowed}" if answer.allowed else ""
    return text.replace("  ", " ")


def _traps(traps: Sequence[Trap]) -> Sequence[str]:
    """Return each entry that was hit, once, with the first address."""
    found: dict[tuple[str, int], str] = {}
    for one in traps:
        found.setdefault((one.list, one.line), f"{one.address} ({_source(one)})")
    return list(found.values())


def _source(trap: Trap) -> str:
    """Return the list and line of an entry, or the rule, and the class unless it is pristine."""
    if not trap.line:
        return trap.list
    return f"{trap.list}:{trap.line}" + (f", {trap.trap_class}" if trap.trap_class else "")


def _result(one: PluginResult) -> str:
    facts = "".join(f" {name}={value}" for name, value in one.facts.items())
    score = f" score={one.score:g}" if one.score else ""
    return f"{one.name}={one.value}{facts}{score}"


# How many fields of a record the line is made from; later ones may be added.
_VALUES: Final = 31

assert Transaction.__struct_fields__[:_VALUES] == (
    *("time", "ref", "session", "client", "sender", "result", "by", "reason", "reply"),
    *("seconds", "recipients", "recipients_count", "size", "message_id", "header_from"),
    *("subject", "answers", "traps", "traps_count", "shadowed", "results", "score", "edits"),
    *("changes", "next_hops", "plugin", "problem", "hook", "refused_count", "faults"),
    "queue_id",
)
