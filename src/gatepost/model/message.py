"""One message: header fields added by the server, then the client's bytes unchanged.

The content is kept in memory up to `threshold` octets, and above that in an unnamed file in
`folder`. Each piece counts as PIECE_COST more octets, so memory use is bounded for any size of
message and pieces. The operating system removes the file when it is closed or the process ends.

Security: an added header field is checked. It must be one field without bare line breaks and NUL,
so that text from a client or plugin cannot end the header block early. Content that does not start
with a header block is separated from the added fields by an empty line.
"""

import io
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

READ_SIZE = 256 * 1024
# The memory overhead of one piece: a client that sends tiny pieces must not multiply memory use.
PIECE_COST = 64

# RFC 5322 s2.2: a field name is printable ASCII without colon and space.
_FIELD_NAME = re.compile(r"[!-9;-~]{1,76}")
# The start of content that needs no separator: a field, an empty line, the line of an mbox file.
_HEADER = re.compile(rb"[!-9;-~]+[ \t]*:|\r\n|>?From ")
# The octets in which the first field name must end (RFC 5322 s2.1.1).
_FIRST_LINE = 1000
# A folded value: every line break is CRLF followed by white space and then something visible.
_FIELD_VALUE = re.compile(r"[^\r\n\0]*(?:\r\n[ \t][^\S\r\n]*[^\s\0][^\r\n\0]*)*")


class Message:
    """A message during its transaction.

    `added` has the header fields to put in front; the last one added comes first. `size` is the
    number of octets of content received so far.
    """

    __slots__ = ("_chunks", "_file", "_folder", "_start", "_stored", "_threshold", "added", "size")

    def __init__(self, threshold: int, folder: Path | None = None) -> None:
        self._threshold = threshold
        self._folder = folder
        self._chunks: list[bytes] = []
        self._file: BinaryIO | None = None
        self._start = b""
        self._stored: Callable[[], Iterator[bytes]] | None = None
        self.added: list[bytes] = []
        self.size = 0

    @classmethod
    def stored(cls, pieces: Callable[[], Iterator[bytes]], size: int) -> Self:
        """Return a message whose content is stored elsewhere: `size` octets from `pieces()`.

        `pieces` is called each time the content is read. It raises OSError if that fails.
        """
        message = cls(0)
        message._stored = pieces
        message.size = size
        return message

    @property
    def in_file(self) -> bool:
        """Return whether the content is in a file, not in memory."""
        return self._file is not None

    def write(self, data: bytes) -> None:
        """Append content; raises OSError if the disk is full."""
        if self.size < _FIRST_LINE:
            self._start += data[:_FIRST_LINE]
        self.size += len(data)
        if self._file is not None:
            self._file.write(data)
        else:
            self._chunks.append(data)
            if self.size + PIECE_COST * len(self._chunks) > self._threshold:
                self.move_to_file()

    def move_to_file(self) -> None:
        """Move content from memory to a file. If that raises OSError it stays in memory.

        A reader that has already begun goes on with the content in memory.
        """
        file = cast("BinaryIO", tempfile.TemporaryFile(dir=self._folder))  # noqa: SIM115
        try:
            file.writelines(self._chunks)
            file.flush()
        except OSError:
            with suppress(OSError):
                file.close()
            raise
        self._file, self._chunks = file, []

    def complete(self) -> None:
        """Flush the content after the last `write`; raises OSError if the disk is full.

        Without this the first read would fail instead.
        """
        if self._file is not None:
            self._file.flush()

    def add_header(self, name: str, value: str) -> None:
        """Put a header field in front of the message; raises ValueError if it is malformed.

        A long value can be folded with CRLF and white space (RFC 5322 section 2.2.3).
        """
        if not _FIELD_NAME.fullmatch(name):
            raise ValueError(f"expected a header field name, found {name!r}")
        if not _FIELD_VALUE.fullmatch(value):
            raise ValueError(f"header field {name}: line breaks must be CRLF and white space")
        self.added.append(f"{name}: {value}\r\n".encode())

    def content(self) -> Iterator[bytes]:
        """Yield the client's bytes in pieces, from the beginning.

        Several readers can work at the same time, also in threads: each has its own position.
        """
        if self._stored is not None:
            yield from self._stored()
            return
        if self._file is None:
            yield from self._chunks
            return
        file, offset = self._file, 0
        file.flush()
        while piece := os.pread(file.fileno(), READ_SIZE, offset):
            yield piece
            offset += len(piece)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the whole message, added header fields first, in pieces."""
        yield b"".join(reversed(self.added)) + self._separator()
        yield from self.content()

    @property
    def full_size(self) -> int:
        """Return the octets of the whole message, including the added header fields."""
        return sum(map(len, self.added)) + len(self._separator()) + self.size

    def _separator(self) -> bytes:
        """Return an empty line if the client's bytes would continue an added header field.

        Content that starts with white space would become a part of the field. Other content
        without a header block is separated too, because programs read it in different ways.
        """
        if not self.added or not self.size:
            return b""
        start = self._start if self._stored is None else _first(self._stored())
        return b"" if _HEADER.match(start) else b"\r\n"

    def __bytes__(self) -> bytes:
        return b"".join(self)

    def open(self) -> BinaryIO:
        """Return the whole message as a readable binary file, for parsers that require one."""
        return io.BufferedReader(_Pieces(iter(self)))

    def close(self) -> None:
        """Free the content; a second call has no effect."""
        self._chunks.clear()
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _first(pieces: Iterator[bytes]) -> bytes:
    """Return the start of content that can have the first field name."""
    start = b""
    for piece in pieces:
        start += piece[:_FIRST_LINE]
        if len(start) >= _FIRST_LINE:
            break
    return start


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
