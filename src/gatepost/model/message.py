"""One message: header fields added by the server, then the client's bytes as plugins edited them.

The content as received never changes. Edits are kept next to it (`gatepost.model.edits`), and every
reader of the message gets both: the Received field of this server, the fields that plugins put in
front, the client's fields as edited, appended fields, and the body.

Security: a field of a plugin cannot end the header block (`gatepost.model.field`). Content that
does not start with a header block is separated from the fields by an empty line. Once the delivery
has begun the message cannot be edited, so all recipients get the same octets.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, Self

from gatepost.model.author import UNKNOWN, Author, Named
from gatepost.model.content import FIRST_LINE, Content
from gatepost.model.edits import (
    FIRST_FIELD,
    Edit,
    Edits,
    Kind,
    pure,
    read_block,
    shown,
    with_line_end,
)
from gatepost.model.field import make_field
from gatepost.model.headers import Headers
from gatepost.model.watch import Watch

# The phases of a message. Edits are possible until it is sealed.
_RECEIVED_IN_PART: Final = 0
_COMPLETE: Final = 1
_SEALED: Final = 2


class Parts(NamedTuple):
    """The fields in front of the client's, its fields as edited, the body that replaces its own.

    Without edits of its fields or body these are None.
    """

    front: bytes
    fields: bytes | None
    body: Content | None


class Message(Content):
    """A message during its transaction.

    `content()` yields the octets as received, and `size` is their number. Everything else has the
    edits: `bytes(message)`, iteration, `open()`, `headers()` and `full_size`. `largest` is the
    limit of a replaced body in octets, 0 for none. `utf8` is whether SMTPUTF8 was requested.
    `author` is the plugin that runs, for the record of its edits. In shadow mode they are checked
    and recorded, but have no effect.
    """

    __slots__ = (
        *("_edits", "_largest", "_phase", "_shadowed", "_trace", "_utf8"),
        *("author", "watches"),
    )

    def __init__(
        self,
        threshold: int,
        folder: Path | None = None,
        largest: int = 0,
        utf8: bool = False,  # noqa: FBT001, FBT002 - a keyword costs time for each message
    ) -> None:
        super().__init__(threshold, folder)
        self._largest = largest
        self._utf8 = utf8
        self._trace = b""
        self._phase = _RECEIVED_IN_PART
        self._edits: Edits | None = None
        self._shadowed: Sequence[Edit] = ()
        self.author: Author = UNKNOWN
        self.watches: Sequence[Watch] = ()

    @classmethod
    def stored(cls, pieces: Callable[[], Iterator[bytes]], size: int) -> Self:
        """Return a message whose content is stored elsewhere: `size` octets from `pieces()`.

        `pieces` is called each time the content is read. It raises OSError if that fails.
        """
        message = cls(0)
        message._stored = pieces
        message._size = size
        message._phase = _COMPLETE
        return message

    # Called by the server

    def complete(self) -> None:
        """Flush the content after the last `write`; raises OSError if the disk is full.

        Without this the first read would fail instead.
        """
        if self._file is not None:
            self.flush()
        self._phase = _COMPLETE

    def add_trace(self, field: bytes) -> None:
        """Put a trace field of this server in front of everything; plugins cannot change it."""
        self._trace = field + self._trace

    def received(self, piece: bytes) -> None:
        """Pass a piece of the content on to those who watch it."""
        for watch in self.watches:
            watch.feed((piece,))

    def seal(self) -> None:
        """Permit no more edits: the delivery begins."""
        self._phase = _SEALED

    def octets_held(self) -> tuple[int, int]:
        """Return the number of octets in memory and in files, with those of a replaced body."""
        memory, files = (0, self._size) if self.in_file else (self._size, 0)
        body = None if self._edits is None else self._edits.body
        if body is not None:
            memory, files = (
                (memory, files + body.size) if body.in_file else (memory + body.size, files)
            )
        return memory, files

    # Readers while the content arrives

    def watch(self, update: Callable[[bytes], object], *, body: bool = False) -> Watch:
        """Call `update` with each piece of the content as received, in order.

        The octets that are there are passed on at once, further ones when they arrive. With `body`,
        they begin behind the header block. If `update` raises, it is not called again, and `check`
        of the result raises the error. Call this in `on_headers`, and use what was collected in
        `on_message`. `update` runs on the event loop: it gets at most 256 KiB at a time.
        Raises RuntimeError once the delivery has begun, ValueError with `body` if the header block
        has more than 1 MiB.
        """
        if self._phase == _SEALED:
            raise RuntimeError("the message cannot be watched now: do it in on_headers")
        start = self._block_end() if body else 0
        watch = Watch(update, Named(self.author.plugin, self.author.shadow))
        watch.feed(self.content_from(start))
        if self._phase == _RECEIVED_IN_PART:
            self.watches = (*self.watches, watch)
        return watch

    def header_block(self) -> bytes:
        """Return the header fields as received, each with its CRLF; b"" if there is none.

        Signatures cover these octets. Raises RuntimeError while the block is incomplete, ValueError
        if it has more than 1 MiB.
        """
        return read_block(self.content(), complete=self._phase != _RECEIVED_IN_PART).fields

    def _block_end(self) -> int:
        """Return the number of octets of the header block and the empty line behind it."""
        complete = self._phase != _RECEIVED_IN_PART
        end = read_block(self.content(), complete=complete).end
        behind = b"".join(islice(self.content_from(end), 2))  # a piece has at least one octet
        return end + 2 if behind.startswith(b"\r\n") else end

    # Edits

    def add_header(self, name: str, value: str, *, first: bool = True) -> None:
        """Add a header field: in front of the others, or with `first=False` behind them.

        A long value is folded, unless it is folded with CRLF and white space. A value that is not
        ASCII is encoded (RFC 2047), unless the message has SMTPUTF8. Raises ValueError if the field
        would be malformed, RuntimeError outside of `on_headers`, `on_message` and `on_deliver`.
        """
        field = make_field(name, value, utf8=self._utf8)
        edits = self._with_block(required=not first)
        edits.add(name, field, first=first)
        self._record(edits, "added", name, shown(value))

    def remove_header(self, name: str, where: Callable[[str], bool] | None = None) -> int:
        """Remove the fields of a name, in any case; return how many.

        With `where`, only those for whose unfolded value it returns true. Raises ValueError if the
        header block is too long to be edited; otherwise the same as `add_header`.
        """
        is_new = self._edits is None
        edits = self._with_block()
        found = edits.remove(name, where)
        if is_new and not found.number:
            self._edits = None  # the content is delivered as it was received
        if found.number:
            more = f" and {found.number - 1} more" if found.number > 1 else ""
            self._record(edits, "removed", name, shown(found.first) + more)
        return found.number

    def replace_header(self, name: str, value: str) -> int:
        """Give a field a new value; return how many fields of that name there were.

        The first one is replaced in its place and all others are removed. Without one, the field is
        added behind the others. Raises as `add_header` and `remove_header` do.
        """
        field = make_field(name, value, utf8=self._utf8)
        edits = self._with_block()
        count = edits.replace(name, field)
        self._record(edits, "replaced" if count else "added", name, shown(value))
        return count

    def replace_body(self, body: bytes | Iterable[bytes]) -> None:
        """Replace everything after the header block, given as bytes or in pieces.

        The header fields that describe the body (MIME) stay as they are. Raises ValueError if the
        body has a bare CR, a bare LF or a NUL, or is larger than `limits.message_size`, OSError if
        the disk is full, RuntimeError outside of `on_message` and `on_deliver`. The body is then
        the one before.
        """
        if self._phase == _RECEIVED_IN_PART:
            raise RuntimeError("the body has not been received yet: replace it in on_message")
        edits = self._with_block()
        pieces = (body,) if isinstance(body, bytes) else body
        new = Content(self._threshold, self._folder)
        try:
            is_ascii = self._store(new, pieces)
        except BaseException:
            new.close()
            raise
        if self.author.shadow:
            new.close()
        else:
            edits.replace_body(new, is_ascii=is_ascii)
        self._record(edits, "body replaced", "", f"{new.size} octets")

    def _store(self, new: Content, pieces: Iterable[bytes]) -> bool:
        """Write a replaced body; return whether it is ASCII."""
        is_ascii = True
        for piece in pure(pieces):
            new.write(piece)
            is_ascii = is_ascii and piece.isascii()
            if 0 < self._largest < new.size:
                limit = f"{self._largest} octets (limits.message_size)"
                raise ValueError(f"replaced body: more than {limit}")
        new.flush()
        return is_ascii

    def _with_block(self, *, required: bool = True) -> Edits:
        """Return the edits so far, with the header block; raise RuntimeError or ValueError.

        If the block is not `required`, it can be incomplete or too long to be edited. In shadow
        mode the edits are a copy.
        """
        if self._phase == _SEALED:
            raise RuntimeError(
                "the message cannot be edited now: edit it in on_headers, on_message or on_deliver"
            )
        edits = self._edits or Edits()
        if edits.block is None:
            try:
                edits.block = read_block(self.content(), complete=self._phase == _COMPLETE)
            except (RuntimeError, ValueError):
                if required:
                    raise
        self._edits = edits
        return edits.copy_of_fields() if self.author.shadow else edits

    def _record(self, edits: Edits, kind: Kind, name: str, summary: str) -> None:
        edit = Edit(kind, name, summary, self.author.plugin)
        if self.author.shadow:
            self._shadowed = (*self._shadowed, edit)
        else:
            edits.done.append(edit)

    @property
    def edits(self) -> Sequence[Edit]:
        """Return the edits of plugins, in order."""
        return () if self._edits is None else self._edits.done

    @property
    def shadowed_edits(self) -> Sequence[Edit]:
        """Return the edits of plugins in shadow mode, in order; they have no effect."""
        return self._shadowed

    @property
    def broken_signatures(self) -> Sequence[str]:
        """Return the signatures that the edits invalidate, each with its field and its domain."""
        return () if self._edits is None else list(self._edits.broken)

    def signatures_over(self, name: str = "") -> Sequence[str]:
        """Return the signatures that a change of a field invalidates, as `broken_signatures`.

        Without a name, those that a change of the body invalidates: all. Raises ValueError if the
        header block has more than 1 MiB, RuntimeError while it is incomplete.
        """
        edits = self._edits or Edits()
        if edits.block is not None:
            return edits.signatures_over(name)
        looked_at = Edits()
        looked_at.front = edits.front
        looked_at.block = read_block(self.content(), complete=self._phase != _RECEIVED_IN_PART)
        return looked_at.signatures_over(name)

    @property
    def needs_8bitmime(self) -> bool:
        """Return whether a replaced body is not ASCII, so that BODY=8BITMIME is required."""
        return self._edits is not None and not self._edits.is_ascii

    @property
    def parts(self) -> Parts:
        """Return what is in the place of the client's octets, or in front of them."""
        edits = self._edits
        if edits is None:
            return Parts(self._trace, None, None)
        fields = None if edits.block is None else edits.block.fields
        return Parts(self._trace + edits.front, fields, edits.body)

    # Readers

    def headers(self) -> Headers:
        """Return the header fields as edited, without the Received field of this server."""
        edits = Edits() if self._edits is None else self._edits
        block = edits.block or read_block(self.content(), complete=self._phase != _RECEIVED_IN_PART)
        return Headers(edits.front + block.fields)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the whole message as edited, in pieces."""
        yield self._lead()
        edits = self._edits
        if edits is None:
            yield from self.content()
        elif edits.body is not None:
            yield from edits.body.content()
        else:
            yield from self.content_from(0 if edits.block is None else edits.block.end)

    @property
    def full_size(self) -> int:
        """Return the octets of the whole message as edited."""
        lead, edits = len(self._lead()), self._edits
        if edits is None:
            return lead + self._size
        if edits.body is not None:
            return lead + edits.body.size
        return lead + self._size - (0 if edits.block is None else edits.block.end)

    def _lead(self) -> bytes:
        """Return the octets in front of the untouched rest, or of the replaced body.

        Content that starts with white space would become a part of a field. Other content without
        a header block is separated too, because programs read it in different ways.
        """
        fields, edits = self._trace, self._edits
        if edits is not None:
            fields += edits.fields()
            if edits.body is not None:
                return with_line_end(fields) + b"\r\n"
            if edits.block is not None and not edits.block.bare:
                return fields
        if not fields or not self._size or FIRST_FIELD.match(self.beginning(), 0, FIRST_LINE):
            return fields
        return fields + b"\r\n"

    def __bytes__(self) -> bytes:
        return b"".join(self)

    def open(self) -> BinaryIO:
        """Return the whole message as edited, as a readable file for parsers that require one."""
        return io.BufferedReader(_Pieces(iter(self)))

    def close(self) -> None:
        """Free the content; a second call has no effect."""
        self._phase = _SEALED
        super().close()
        if self._edits is not None and self._edits.body is not None:
            self._edits.body.close()


class _Pieces(io.RawIOBase):
    """The pieces of a message as a raw readable stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next((piece for piece in self._pieces if piece), b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
