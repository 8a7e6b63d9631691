"""The changes that a filter asks the mail server for, at the end of a message.

Security: a change must not have more or other fields than it is meant to have. Line breaks are LF
and begin a continuation line, and there is no NUL.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from gatepost.wire.milter import codes as c
from gatepost.wire.milter.packets import number, packet

# The value that stands for no field.
_NONE: Final = b"\0"


class Field(msgspec.Struct, frozen=True):
    """A header field: its name, and its value with the space in front of it."""

    name: bytes
    value: bytes

    def encoded(self, *, leading: bool) -> bytes:
        """Return the field as data; `leading` is whether the space in front is sent."""
        value = self.value.replace(b"\r\n", b"\n").replace(b"\0", b"")
        if not leading:
            value = value.removeprefix(b" ")
        return self.name + b"\0" + value + b"\0"


class Changes(msgspec.Struct, frozen=True):
    """The changes of one message.

    `changed` are the fields of the client that are replaced, each with its number among those of
    its name, from 1; None in place of a field deletes it. `appended` follow the client's
    fields, `inserted` are in front of them, in order. `added` and `deleted` are recipients without
    angle brackets; an added one has its parameters. `body` are the pieces of a new body, None for
    the client's. `quarantine` is the reason, "" for none. With `discard` the message is dropped.
    `sender` is a new sender without angle brackets, None for the client's.
    """

    changed: Sequence[tuple[bytes, int, Field | None]] = ()
    appended: Sequence[Field] = ()
    inserted: Sequence[Field] = ()
    added: Sequence[tuple[str, str]] = ()
    deleted: Sequence[str] = ()
    body: Iterable[bytes] | None = None
    quarantine: str = ""
    discard: bool = False
    sender: str | None = None

    def encoded(self, *, leading: bool, with_params: bool, with_sender: bool) -> bytes:
        """Return the responses that make the changes.

        `with_params` and `with_sender` are whether the mail server can take these.
        """
        return b"".join(
            (
                *self._fields(leading=leading),
                *(
                    packet(c.CHANGE_SENDER, _path(one))
                    for one in self._senders(possible=with_sender)
                ),
                *(_recipient(one, with_params=with_params) for one in self.added),
                *(packet(c.DELETE_RECIPIENT, _path(one)) for one in self.deleted),
                *(_pieces(self.body) if self.body is not None else ()),
                *((packet(c.QUARANTINE, _string(self.quarantine)),) if self.quarantine else ()),
            )
        )

    def _senders(self, *, possible: bool) -> tuple[str, ...]:
        return (self.sender,) if possible and self.sender is not None else ()

    def _fields(self, *, leading: bool) -> Iterator[bytes]:
        """Yield the changes of fields.

        The last ones come first: mail servers differ in whether a deleted field still counts.
        """
        for name, index, new in sorted(self.changed, key=lambda one: -one[1]):
            data = name + _NONE + _NONE if new is None else new.encoded(leading=leading)
            yield packet(c.CHANGE_HEADER, number(index) + data)
        for field in self.appended:
            yield packet(c.ADD_HEADER, field.encoded(leading=leading))
        for field in reversed(self.inserted):
            yield packet(c.INSERT_HEADER, number(0) + field.encoded(leading=leading))


def _recipient(added: tuple[str, str], *, with_params: bool) -> bytes:
    address, params = added
    if params and with_params:
        return packet(c.ADD_RECIPIENT_WITH_PARAMS, _path(address) + _string(params))
    return packet(c.ADD_RECIPIENT, _path(address))


def _pieces(body: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a new body; one without any octet needs a piece too."""
    found = False
    for piece in body:
        for start in range(0, len(piece), c.BODY_PIECE):
            found = True
            yield packet(c.REPLACE_BODY, piece[start : start + c.BODY_PIECE])
    if not found:
        yield packet(c.REPLACE_BODY)


def _path(address: str) -> bytes:
    return _string(f"<{address}>")


def _string(value: str) -> bytes:
    return value.encode(errors="replace").replace(b"\0", b"") + b"\0"
