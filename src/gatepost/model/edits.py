"""The edits of one message: the header fields and the body that take the place of the client's.

Theory of operation: an edit of fields changes a copy of the header block, cut at field boundaries.
All other octets keep their value, their folding and their order. The body is not copied; a replaced
body has a store of its own.

Security: a replaced body with a bare CR, a bare LF or a NUL is refused. Values in the description
of an edit are as the client sent them: a log has to escape them.

Limits: a header block of more than MAX_BLOCK octets can only get fields in front of it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec

from gatepost.model.content import FIRST_LINE, Content
from gatepost.model.headers import places, unfolded
from gatepost.model.signatures import signatures

# A few KiB are usual. The copy of a longer block would cost too much memory and time.
MAX_BLOCK = 1024 * 1024
# Characters of a value in the description of an edit.
SHOWN = 100
# The start of content that needs no separator: a field, an empty line, the line of an mbox file.
FIRST_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:|\r\n|>?From ")

_END = b"\r\n\r\n"
_LINE = b"\r\n"
_IMPURE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")

Test = Callable[[str], bool]
Kind = Literal["added", "removed", "replaced", "body replaced"]


class Edit(msgspec.Struct, frozen=True):
    """One edit of a message.

    `name` is the field, "" for the body. `summary` is the value of an added field, the new value of
    a replaced one, the value of the first removed one and their number, or the size of the body.
    `by` is the name of the plugin, "" if it is unknown.
    """

    kind: Kind
    name: str
    summary: str
    by: str = ""

    def __str__(self) -> str:
        what = f"{self.kind} {self.name}".rstrip()
        author = f" (by {self.by})" if self.by else ""
        return f"{what}: {self.summary}{author}"


class Block(NamedTuple):
    """The client's header block: its fields, and the offset of the rest of the content.

    `bare` is true for content without a header block: all of it is body.
    """

    fields: bytes
    end: int
    bare: bool


def read_block(pieces: Iterable[bytes], *, complete: bool) -> Block:
    """Return the header block at the start of content; `complete` is whether all is there.

    Raises RuntimeError if the block has not ended, ValueError if it is too long.
    """
    raw, end = bytearray(), -1
    for piece in pieces:
        searched = max(0, len(raw) - len(_END))
        raw += piece
        end = 0 if raw.startswith(_LINE) else raw.find(_END, searched)
        if end >= 0 or len(raw) > MAX_BLOCK:
            break
    if end < 0 and not complete and len(raw) <= MAX_BLOCK:
        raise RuntimeError("the header block is incomplete: edit it in on_headers or on_message")
    if raw and not FIRST_FIELD.match(raw, 0, FIRST_LINE):
        return Block(b"", 0, bare=True)
    size = len(raw) if end < 0 else end + len(_LINE) if end else 0
    if size > MAX_BLOCK:
        raise ValueError(f"the header block has more than {MAX_BLOCK} octets and cannot be edited")
    return Block(bytes(raw[:size]), size, bare=False)


class Cut(NamedTuple):
    """The result of `cut`: the octets that remain, the first value that was cut, and the number."""

    raw: bytes
    first: str
    number: int


def cut(raw: bytes, name: str, where: Test | None, instead: bytes = b"") -> Cut:
    """Cut the fields of a name for whose value `where` is true; put `instead` for the first one."""
    parts, first, count, at = list[bytes](), "", 0, 0
    for place in places(raw, name):
        value = unfolded(raw[place.value : place.end])
        if where is None or where(value):
            parts += (raw[at : place.start], b"" if count else instead)
            first, count = first if count else value, count + 1
            at = place.end + len(_LINE)
    parts.append(raw[at:])
    return Cut(b"".join(parts), first, count)


def _titles(fields: bytes) -> list[str]:
    return [one.title for one in signatures(fields)]


def with_line_end(fields: bytes) -> bytes:
    """Return fields that end with CRLF; the last line of content without a body may have none."""
    return fields + _LINE if fields and not fields.endswith(_LINE) else fields


def shown(value: str) -> str:
    """Return a value as the description of an edit shows it: in one line, shortened."""
    line = value.replace("\r\n", "")
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


def pure(pieces: Iterable[bytes], name: str = "replaced body") -> Iterator[bytes]:
    """Yield the same octets, cut elsewhere; raise ValueError at a bare CR, a bare LF or a NUL.

    The error starts with `name`.
    """
    held, offset = b"", 0
    for piece in pieces:
        data = held + piece
        held = b"\r" if data.endswith(b"\r") else b""
        data = data[: len(data) - len(held)]
        lines = data.count(_LINE)
        if b"\0" in data or not data.count(b"\r") == lines == data.count(b"\n"):
            _raise_impure(name, data, offset)
        yield data
        offset += len(data)
    if held:
        _raise_impure(name, held, offset)


def _raise_impure(name: str, data: bytes, offset: int) -> None:
    found = _IMPURE.search(data)
    assert found is not None
    octet = {b"\r": "bare CR", b"\n": "bare LF", b"\0": "NUL"}[found[0]]
    raise ValueError(f"{name}: {octet} at offset {offset + found.start()}")


class Edits:
    """The result of all edits so far.

    `front` has the fields in front of the client's. `block` has the client's fields with those that
    were appended, None if it is incomplete or too long. `body` is the replaced body; `is_ascii` is
    false if it is not ASCII. `done` lists the edits, `broken` the signatures that they invalidate.
    """

    __slots__ = ("block", "body", "broken", "done", "front", "is_ascii")

    def __init__(self) -> None:
        self.front = b""
        self.block: Block | None = None
        self.body: Content | None = None
        self.is_ascii = True
        self.done: list[Edit] = []
        self.broken: dict[str, None] = {}

    def copy_of_fields(self) -> "Edits":
        """Return edits of the same fields without the body, to try an edit without effect."""
        copy = Edits()
        copy.front, copy.block = self.front, self.block
        return copy

    def fields(self) -> bytes:
        """Return all fields but those of this server."""
        return self.front if self.block is None else self.front + self.block.fields

    def add(self, name: str, field: bytes, *, first: bool) -> None:
        """Add a field in front of the others or behind them."""
        covering = self._covering(name, in_front=first)
        if first:
            self.front = field + self.front
        else:
            self._append(field)
        self.broken |= covering

    def _append(self, field: bytes) -> None:
        self._set(self.front, with_line_end(self._fields()) + field)

    def remove(self, name: str, where: Test | None) -> Cut:
        """Remove the fields of a name; return what was cut."""
        front, block = cut(self.front, name, where), cut(self._fields(), name, where)
        found = Cut(b"", front.first if front.number else block.first, front.number + block.number)
        if found.number:
            self.broken |= self._covering(name)
            self._set(front.raw, block.raw)
        return found

    def replace(self, name: str, field: bytes) -> int:
        """Replace the fields of a name by one field, or append it; return how many there were."""
        self.broken |= self._covering(name)
        front = cut(self.front, name, None, field)
        block = cut(self._fields(), name, None, b"" if front.number else field)
        self._set(front.raw, block.raw)
        if not front.number + block.number:
            self._append(field)
        return front.number + block.number

    def replace_body(self, body: Content, *, is_ascii: bool) -> None:
        """Take another body."""
        if self.body is not None:
            self.body.close()
        self.body, self.is_ascii = body, is_ascii
        self.broken |= dict.fromkeys(self.signatures_over(""))

    def signatures_over(self, name: str) -> Sequence[str]:
        """Return the signatures that cover a field of this name, or with "" the body."""
        return list(self._covering(name)) if name else _titles(self.fields())

    def _fields(self) -> bytes:
        assert self.block is not None
        return self.block.fields

    def _set(self, front: bytes, fields: bytes) -> None:
        assert self.block is not None
        self.front, self.block = front, self.block._replace(fields=fields)

    def _covering(self, name: str, *, in_front: bool = False) -> dict[str, None]:
        """Return the signatures that cover a field of this name.

        A field in front of others of its name is covered only if the signature names it more often
        than there are others: verifiers take the last ones (RFC 6376 section 5.4.2).
        """
        fields, key = self.fields(), name.lower()
        found: dict[str, None] = {}
        for one in signatures(fields):
            covered = one.names.count(key)
            if covered and not (in_front and covered <= sum(1 for _ in places(fields, name))):
                found[one.title] = None
        return found
