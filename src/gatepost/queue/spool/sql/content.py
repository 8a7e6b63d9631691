"""The octets of a message in a spool file: in pieces, so that a message need not fit into memory.

SQLite does not detect a flipped bit on the disk. The envelope therefore has a digest of the
content. A reader that reaches the end has read the original content: the last piece is returned
only after the digest of all pieces has been checked.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn
from zlib import crc32

from gatepost.queue.spool.sql.database import is_damage
from gatepost.queue.spool.sql.schema import CHUNK_BITS

CHUNK = 256 * 1024

_INSERT = "INSERT INTO content (id, data) VALUES (?, ?)"
_RANGE = "FROM content WHERE id >= ? AND id < ?"


class DamagedContentError(OSError):
    """The content of a message in the spool differs from the original."""


def write_content(
    connection: sqlite3.Connection, message: int, first: bytes, digest: int, rest: Iterable[bytes]
) -> tuple[int, int]:
    """Store the content of a message in chunks; return its size in octets and its digest.

    `digest` is that of the first chunk, as the envelope has it. With more chunks, the envelope is
    corrected.
    """
    number, size = message << CHUNK_BITS, len(first)
    if first:
        connection.execute(_INSERT, (number, first))
    if size < CHUNK:
        return size, digest
    for chunk in rest:
        number += 1
        connection.execute(_INSERT, (number, chunk))
        size += len(chunk)
        digest = crc32(chunk, digest)
    connection.execute("UPDATE message SET digest = ? WHERE id = ?", (digest, message))
    return size, digest


def in_chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same octets in pieces of CHUNK; the last one may be shorter."""
    parts, size = list[bytes](), 0
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        while size >= CHUNK:
            joined = b"".join(parts)
            yield joined[:CHUNK]
            parts, size = [joined[CHUNK:]], size - CHUNK
    if size:
        yield b"".join(parts)


def check_digest(found: int, digest: int | None) -> None:
    """Raise `DamagedContentError` if the digest differs; messages of version 1 have none."""
    if digest is not None and found != digest:
        raise DamagedContentError("content checksum mismatch")


def stored_size(connection: sqlite3.Connection, message: int) -> int:
    """Return the number of octets of a message, without reading them."""
    found = connection.execute(f"SELECT sum(length(data)) {_RANGE}", _bounds(message)).fetchone()
    return int(found[0] or 0)


def delete_content(connection: sqlite3.Connection, message: int) -> None:
    """Delete the octets of a message."""
    connection.execute(f"DELETE {_RANGE}", _bounds(message))


def _bounds(message: int) -> tuple[int, int]:
    return message << CHUNK_BITS, (message + 1) << CHUNK_BITS


class ContentReader:
    """Reads content during writes: it has its own connection, which threads may share."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def pieces(
        self, message: int, size: int, first: bytes = b"", digest: int | None = None
    ) -> Iterator[bytes]:
        """Yield the content of a message: `size` octets with this digest, if it has one.

        `first` is the first piece if it has been read before. If it is the whole message, it has
        been checked then. Raises `DamagedContentError` instead of the last piece if the content is
        damaged, and another OSError if it cannot be read.
        """
        if first and len(first) == size:
            yield first
            return
        number, left, found = message << CHUNK_BITS, size, 0
        if left <= 0:
            check_digest(found, digest)
        while left > 0:
            chunk = first or self._chunk(number)
            first = b""
            left -= len(chunk)
            found = crc32(chunk, found)
            if not chunk or left < 0:
                self._raise_missing(message, size)
            if not left:
                check_digest(found, digest)
            yield chunk
            number += 1

    def _chunk(self, number: int) -> bytes:
        row = self._row("SELECT data FROM content WHERE id = ?", number)
        if row is not None and not isinstance(row[0], bytes):
            raise DamagedContentError(f"message {number >> CHUNK_BITS}: expected octets")
        return b"" if row is None else row[0]

    def _raise_missing(self, message: int, size: int) -> NoReturn:
        if self._row("SELECT 1 FROM message WHERE id = ?", message) is None:
            raise OSError(f"message {message} has been removed")
        raise DamagedContentError(f"message {message}: expected {size} octets in the spool")

    def _row(self, query: str, number: int) -> tuple[Any, ...] | None:
        try:
            with self._lock:
                row: tuple[Any, ...] | None = self._connection.execute(query, (number,)).fetchone()
        except sqlite3.Error as error:
            kind = DamagedContentError if is_damage(error) else OSError
            raise kind(f"error reading the spool: {error}") from error
        return row

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()
