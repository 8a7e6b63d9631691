"""Octets that are kept in memory up to a size, and above that in a file without a name.

Each piece counts as PIECE_COST more octets, so memory use is bounded for any size of content and
pieces. The operating system removes the file when it is closed or the process ends.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, Self, cast

READ_SIZE: Final = 256 * 1024
# The memory overhead of one piece: a client that sends tiny pieces must not multiply memory use.
PIECE_COST: Final = 64
# The octets in which the first field name of a message must end (RFC 5322 s2.1.1).
FIRST_LINE: Final = 1000


class Content:
    """Content of at most `threshold` octets is in memory, larger content in a file in `folder`."""

    __slots__ = ("_chunks", "_file", "_folder", "_size", "_start", "_stored", "_threshold")

    def __init__(self, threshold: int, folder: Path | None = None) -> None:
        self._threshold = threshold
        self._folder = folder
        self._chunks: list[bytes] = []
        self._file: BinaryIO | None = None
        self._start = b""
        self._stored: Callable[[], Iterator[bytes]] | None = None
        self._size = 0

    @property
    def size(self) -> int:
        """Return the number of octets written so far."""
        return self._size

    @property
    def in_file(self) -> bool:
        """Return whether the content is in a file, not in memory."""
        return self._file is not None

    def write(self, data: bytes) -> None:
        """Append content; raises OSError if the disk is full."""
        if self._size < FIRST_LINE:
            self._start += data[:FIRST_LINE]
        self._size += len(data)
        if self._file is not None:
            self._file.write(data)
        else:
            self._chunks.append(data)
            if self._size + PIECE_COST * len(self._chunks) > self._threshold:
                self.move_to_file()

    def move_to_file(self) -> None:
        """Move content from memory to a file. If that raises OSError it stays in memory.

        A reader that has already begun goes on with the content in memory.
        """
        import tempfile  # noqa: PLC0415 - takes milliseconds, for large messages only

        file = cast("BinaryIO", tempfile.TemporaryFile(dir=self._folder))  # noqa: SIM115
        try:
            file.writelines(self._chunks)
            file.flush()
        except OSError:
            with suppress(OSError):
                file.close()
            raise
        self._file, self._chunks = file, []

    def beginning(self) -> bytes:
        """Return at least the first FIRST_LINE octets, or all if there are fewer."""
        if self._stored is None:
            return self._start
        start = b""
        for piece in self._stored():
            start += piece[:FIRST_LINE]
            if len(start) >= FIRST_LINE:
                break
        return start

    def flush(self) -> None:
        """Flush the content after the last `write`; raises OSError if the disk is full.

        Without this the first read would fail instead.
        """
        if self._file is not None:
            self._file.flush()

    def content(self) -> Iterator[bytes]:
        """Yield the octets as they were written, in pieces.

        Several readers can work at the same time, also in threads: each has its own position.
        """
        if self._stored is not None:
            yield from self._stored()
        elif self._file is None:
            yield from self._chunks
        else:
            yield from self._read_file(0)

    def first_piece(self) -> bytes:
        """Return the first piece of `content()`, b"" if there is none."""
        return self._chunks[0] if self._chunks else next(self.content(), b"")

    def content_from(self, offset: int) -> Iterator[bytes]:
        """Yield the octets from an offset on, in pieces."""
        if self._file is not None:
            yield from self._read_file(offset)
            return
        for piece in self.content():
            if offset < len(piece):
                yield piece[offset:]
            offset = max(0, offset - len(piece))

    def _read_file(self, offset: int) -> Iterator[bytes]:
        file = self._file
        assert file is not None
        file.flush()
        while piece := os.pread(file.fileno(), READ_SIZE, offset):
            yield piece
            offset += len(piece)

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
