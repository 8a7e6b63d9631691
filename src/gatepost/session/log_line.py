"""The fields of the log line of a transaction, made from its record.

Functions only: `gatepost.session.log` writes the line. They are compiled, and the class of the
recorder is not, because programs may derive from it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from gatepost.ledger import records as r
from gatepost.log.listed import LISTED, listed
from gatepost.model.endpoint import Endpoint

# Characters of a reply in a list: enough for the queue ID of a next hop.
MAX_REPLY: Final = 200


def transaction_fields(record: r.Transaction) -> dict[str, Any]:
    """Return the fields of the line: what decided, the client, the envelope, then what is rare.

    Security: the fields in front of `peer` come from the server and from plugins, not from the
    client, so that a filter of the log finds the right address.
    """
    fields = _decision(record) if record.answers else {}
    fields["ref"] = record.ref
    _add_client(fields, record.client)
    fields["sender"] = record.sender or "<>"
    if record.refused_count or record.recipients_count > LISTED:
        fields |= _recipients(record)
    else:
        fields["recipients"] = [one.address for one in record.recipients]
    fields["size"] = record.size
    fields["message_id"] = record.message_id
    if not _is_plain(record):
        _add_rare(fields, record)
    return fields


def _is_plain(record: r.Transaction) -> bool:
    """Return whether a line has none of the rare fields, as most lines of accepted messages."""
    lists = record.traps or record.answers or record.results or record.edits or record.changes
    others = record.next_hops or record.shadowed or record.faults or record.plugin
    return not (lists or others or record.problem or record.queue_id)


def _add_rare(fields: dict[str, Any], record: r.Transaction) -> None:
    for name, (attribute, text_of) in _RARE.items():
        value = getattr(record, attribute)
        if value and (texts := text_of(value)):
            fields |= listed(name, texts)
    for name in ("shadowed", "faults", "plugin", "problem", "queue_id"):
        value = getattr(record, name)
        if value:
            fields[name] = value


def _decision(record: r.Transaction) -> dict[str, Any]:
    """Return what decided, and the reasons of other refusals."""
    fields: dict[str, Any] = {}
    if record.result != "accepted" and record.by:
        hook = {"hook": record.hook} if record.hook else {}
        fields = {**hook, "by": record.by, "reason": record.reason, "reply": record.reply}
    reasons = dict.fromkeys(one.reason for one in record.answers if _is_refusal(one))
    others = [one for one in reasons if one and one != fields.get("reason")]
    if others:
        fields |= listed("refused_for", others)
    return fields


def _is_refusal(answer: r.Answer) -> bool:
    return bool(answer.hook) and answer.verdict != "accept" and not answer.shadow


def _add_client(fields: dict[str, Any], client: r.Client) -> None:
    fields["peer"] = str(Endpoint(client.address, client.port))
    fields["helo"] = client.helo
    if client.user:
        fields["user"] = client.user
    if client.tls:
        fields["tls"] = client.tls


def _recipients(record: r.Transaction) -> dict[str, Any]:
    """Return the accepted recipients, and the refused ones with their replies."""
    accepted = [one.address for one in record.recipients if not one.reply]
    fields = listed("recipients", accepted, record.recipients_count - record.refused_count)
    if record.refused_count:
        refused = [
            f"{one.address}: {one.reply[:MAX_REPLY]}" for one in record.recipients if one.reply
        ]
        fields |= listed("refused", refused, record.refused_count)
    return fields


def _would(answers: Sequence[r.Answer]) -> Collection[str]:
    """Return what plugins in shadow mode would have decided."""
    return [
        f"{one.verdict} {one.reason} ({one.by}, {one.hook})".replace("  ", " ")
        for one in answers
        if one.shadow
    ]


def _traps(traps: Sequence[r.Trap]) -> Collection[str]:
    """Return each entry that was hit, once, with the first address."""
    found: dict[tuple[str, int], str] = {}
    for one in traps:
        found.setdefault((one.list, one.line), f"{one.address} ({_source(one)})")
    return found.values()


def _source(trap: r.Trap) -> str:
    """Return the list and line of an entry, or the rule, and the class unless it is pristine."""
    if not trap.line:
        return trap.list
    return f"{trap.list}:{trap.line}" + (f", {trap.trap_class}" if trap.trap_class else "")


def _results(results: Sequence[r.PluginResult]) -> Collection[str]:
    return [_result(one) for one in results]


def _result(one: r.PluginResult) -> str:
    facts = "".join(f" {name}={value}" for name, value in one.facts.items())
    score = f" score={one.score:g}" if one.score else ""
    return f"{one.name}={one.value}{facts}{score}"


def _next_hops(replies: Mapping[str, str]) -> Collection[str]:
    return [f"{hop}: {reply[:MAX_REPLY]}" for hop, reply in replies.items()]


def _unchanged(values: Collection[str]) -> Collection[str]:
    return values


# The lists that most lines do not have: the attribute of the record, and what makes its texts.
_RARE: Final[dict[str, tuple[str, Callable[[Any], Collection[str]]]]] = {
    "traps": ("traps", _traps),
    "would": ("answers", _would),
    "results": ("results", _results),
    "edits": ("edits", _unchanged),
    "changes": ("changes", _unchanged),
    "next_hops": ("next_hops", _next_hops),
}
