"""The log line of a transaction, made from its record.

`Line` has the fields; one that a line does not have is UNSET.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET

from gatepost.ledger.records import Answer, Client, PluginResult, Transaction, Trap
from gatepost.log.listed import LISTED
from gatepost.model.endpoint import endpoint_text

# Characters of a reply in a list: enough for the queue ID of a next hop.
MAX_REPLY: Final = 200

_Text: TypeAlias = str | msgspec.UnsetType
_Number: TypeAlias = int | msgspec.UnsetType
_Texts: TypeAlias = list[str] | msgspec.UnsetType


class Line(msgspec.Struct, gc=False):
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
    client = record.client
    line = Line(
        ref=record.ref,
        peer=peer_of(client),
        helo=client.helo,
        user=client.user or UNSET,
        tls=client.tls or UNSET,
        sender=record.sender or "<>",
        size=record.size,
        message_id=record.message_id,
        event="submitted" if record.plugin else record.result,
    )
    if record.refused_count or record.recipients_count > LISTED:
        _add_recipients(line, record)
    else:
        line.recipients = [one.address for one in record.recipients]
    if record.answers:
        _add_decision(line, record)
    if not _is_plain(record):
        _add_rare(line, record)
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


def _is_plain(record: Transaction) -> bool:
    """Return whether a line has none of the rare fields, as most lines of accepted messages."""
    lists = record.traps or record.answers or record.results or record.edits or record.changes
    others = record.next_hops or record.shadowed or record.faults or record.plugin
    return not (lists or others or record.problem or record.queue_id)


def _add_rare(line: Line, record: Transaction) -> None:
    for name, (attribute, texts_of) in _RARE.items():
        value = getattr(record, attribute)
        if value and (texts := texts_of(value)):
            _add_list(line, name, texts)
    if record.shadowed:
        line.shadowed = True
    if record.faults:
        line.faults = record.faults
    if record.plugin:
        line.plugin = record.plugin
    if record.problem:
        line.problem = record.problem
    if record.queue_id:
        line.queue_id = record.queue_id


def _add_decision(line: Line, record: Transaction) -> None:
    """Add what decided, and the reasons of other refusals."""
    decided = ""
    if record.result != "accepted" and record.by:
        line.hook = record.hook or UNSET
        line.by, line.reason, line.reply = record.by, record.reason, record.reply
        decided = record.reason
    reasons = dict.fromkeys([one.reason for one in record.answers if _is_refusal(one)])
    others = [one for one in reasons if one and one != decided]
    if others:
        _add_list(line, "refused_for", others)


def _is_refusal(answer: Answer) -> bool:
    return bool(answer.hook) and answer.verdict != "accept" and not answer.shadow


def _add_recipients(line: Line, record: Transaction) -> None:
    """Add the accepted recipients, and the refused ones with their replies."""
    accepted = [one.address for one in record.recipients if not one.reply]
    _add_list(line, "recipients", accepted, record.recipients_count - record.refused_count)
    if record.refused_count:
        refused = [
            f"{one.address}: {one.reply[:MAX_REPLY]}" for one in record.recipients if one.reply
        ]
        _add_list(line, "refused", refused, record.refused_count)


def _would(answers: Sequence[Answer]) -> Sequence[str]:
    """Return what plugins in shadow mode would have decided."""
    return [
        f"{one.verdict} {one.reason} ({one.by}, {one.hook})".replace("  ", " ")
        for one in answers
        if one.shadow
    ]


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


def _results(results: Sequence[PluginResult]) -> Sequence[str]:
    return [_result(one) for one in results]


def _result(one: PluginResult) -> str:
    facts = "".join(f" {name}={value}" for name, value in one.facts.items())
    score = f" score={one.score:g}" if one.score else ""
    return f"{one.name}={one.value}{facts}{score}"


def _next_hops(replies: Mapping[str, str]) -> Sequence[str]:
    return [f"{hop}: {reply[:MAX_REPLY]}" for hop, reply in replies.items()]


def _unchanged(values: Sequence[str]) -> Sequence[str]:
    return values


# The lists that most lines do not have: the attribute of the record, and what makes its texts.
_RARE: Final[dict[str, tuple[str, Callable[[Any], Sequence[str]]]]] = {
    "traps": ("traps", _traps),
    "would": ("answers", _would),
    "results": ("results", _results),
    "edits": ("edits", _unchanged),
    "changes": ("changes", _unchanged),
    "next_hops": ("next_hops", _next_hops),
}
