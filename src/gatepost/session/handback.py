"""The delivery of a message for which a mail server asks: the message goes back to it.

Theory of operation
-------------------
The mail server has the message. It gets the difference between the message as it sent it and as
plugins have edited it: fields, body, recipients. A field of the client is named by its number among
those of its name. Only the names that were edited are compared. A field that is equal in both stays
as it is; what follows the last such field is replaced in place as far as it goes.

A mail server has one sender for all recipients of a message. If plugins have set several, it gets
that of the first recipient that has one.

A quarantined message is held in the queue of the mail server. A message that a plugin has stored is
dropped by the mail server, which has accepted it.

Limits: a replaced body is in memory until it is sent, `limits.message_size` octets at most.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from gatepost.model.headers import places
from gatepost.model.message import Message
from gatepost.model.reply import Reply
from gatepost.model.session import Hold, Transaction, chosen_sender
from gatepost.session.handover import accepted
from gatepost.session.setup import Setup
from gatepost.wire.milter.changes import Changes, Field
from gatepost.wire.milter.replies import ChangedReply

# A field: its name, and its value up to a line that does not continue it.
_FIELD: Final = re.compile(rb"([!-9;-~]+)[ \t]*:((?:[^\r]|\r\n(?=[ \t]))*+)\r\n")
_NOTHING: Final = Changes()

Changed = tuple[bytes, int, Field | None]


def hand_back(_setup: Setup, tx: Transaction) -> Reply:
    """Return the reply that lets the mail server deliver the message, with the changes."""
    return _with(tx, changes_of(tx))


def hold_there(_setup: Setup, tx: Transaction, hold: Hold) -> Reply:
    """Return the reply that lets the mail server hold the message."""
    return _with(tx, msgspec.structs.replace(changes_of(tx), quarantine=hold.reason))


def taken_from(_setup: Setup, tx: Transaction) -> Reply:
    """Return the reply that lets the mail server drop a message that a plugin has stored."""
    return _with(tx, Changes(discard=True))


def _with(tx: Transaction, changes: Changes) -> Reply:
    reply = accepted(tx)
    return reply if changes == _NOTHING else ChangedReply(reply, changes)


def changes_of(tx: Transaction) -> Changes:
    """Return the changes that make the mail server's message the one that plugins have made."""
    message = tx.message
    assert message is not None
    added, deleted = _recipients(tx)
    parts = message.parts
    changed, appended = ([], []) if parts.fields is None else _compared(message, parts.fields)
    body = None if parts.body is None else list(parts.body.content())
    front = fields_of(parts.front)
    return Changes(changed, appended, front, added, deleted, body, sender=_sender(tx))


def _sender(tx: Transaction) -> str | None:
    """Return the sender that plugins have set, None for that of the client."""
    if tx.acting is None or not tx.acting.has_senders:
        return None
    senders = (chosen_sender(tx, one) for one in tx.recipients)
    found = next(filter(None, senders), None)
    return None if found is None else str(found.address)


def _recipients(tx: Transaction) -> tuple[Sequence[tuple[str, str]], Sequence[str]]:
    """Return the recipients to add, with their parameters, and those to delete."""
    named = None if tx.acting is None else tx.acting.named
    if named is None:
        return (), ()
    added = [(str(one.address), _params(one.params)) for one in tx.recipients if one not in named]
    return added, [str(one.address) for one in named if one not in tx.recipients]


def _params(params: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" if value else name for name, value in params.items())


def fields_of(raw: bytes) -> list[Field]:
    """Return the fields of a header block."""
    return [Field(one[1], one[2]) for one in _FIELD.finditer(raw)]


def _compared(message: Message, edited: bytes) -> tuple[list[Changed], list[Field]]:
    """Return the changes of the client's fields, and the fields that follow them."""
    original = message.header_block()
    changed, appended = list[Changed](), list[Field]()
    for name in dict.fromkeys(edit.name.lower() for edit in message.edits if edit.name):
        old, new = list(_named(original, name)), list(_named(edited, name))
        of_name, more = _aligned(old, new)
        changed += of_name
        appended += more
    return changed, appended


def _named(raw: bytes, name: str) -> Iterator[bytes]:
    """Yield the fields of a name."""
    return (raw[place.start : place.end] + b"\r\n" for place in places(raw, name))


def _aligned(old: list[bytes], new: list[bytes]) -> tuple[list[Changed], list[Field]]:
    """Return what turns the fields of one name into others, and those to append."""
    kept = _kept(old, new)
    rest = [_field(one) for one in new[len(kept) :]]
    last = kept[-1] if kept else -1
    changed: list[Changed] = []
    for at, one in enumerate(old):
        if at not in kept:
            instead = rest.pop(0) if rest and at > last else None
            changed.append((_field(one).name, at + 1, instead))
    return changed, rest


def _kept(old: list[bytes], new: list[bytes]) -> list[int]:
    """Return the positions of the old fields that are the first of the new ones, in order."""
    kept: list[int] = []
    for at, one in enumerate(old):
        if len(kept) < len(new) and new[len(kept)] == one:
            kept.append(at)
    return kept


def _field(raw: bytes) -> Field:
    [field] = fields_of(raw)
    return field
