"""The octets of a message in a spool file: in pieces, so that no message has to fit into memory.

SQLite does not notice a bit that a disk has turned over. So the envelope has a digest of the
content, and whoever reads the content to its end has what was put: the last piece is not handed out
before all of them together are found to be right.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn
from zlib import crc32

from gatepost.queue.spool.database import is_damage
from gatepost.queue.spool.schema import CHUNK_BITS

CHUNK = 256 * 1024

_INSERT = "INSERT INTO content (id, data) VALUES (?, ?)"
_RANGE = "FROM content WHERE id >= ? AND id < ?"


class DamagedError(OSError):
    """A message is not in the spool as it was put there."""


def write_content(
    connection: sqlite3.Connection, message: int, first: bytes, digest: int, rest: Iterable[bytes]
) -> tuple[int, int]:
    """Store the content of a message in chunks; returns its size in octets, and its digest.

    `digest` is that of the first chunk, as it is in the envelope: set right if there are more.
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
    """Yield the same octets in pieces of CHUNK, but for the last."""
    parts, size = list[bytes](), 0
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        while size >= CHUNK:
            whole = b"".join(parts)
            yield whole[:CHUNK]
            parts, size = [whole[CHUNK:]], size - CHUNK
    if size:
        yield b"".join(parts)


def check(found: int, digest: int | None) -> None:
    """Raise `DamagedError` if content is not what was put; without a digest nobody knows."""
    if digest is not None and found != digest:
        raise DamagedError("the content is not what was put into the spool")


def stored_size(connection: sqlite3.Connection, message: int) -> int:
    """Return how many octets of a message there are, without reading them."""
    found = connection.execute(f"SELECT sum(length(data)) {_RANGE}", _bounds(message)).fetchone()
    return int(found[0] or 0)


def delete_content(connection: sqlite3.Connection, message: int) -> None:
    """Forget the octets of a message."""
    connection.execute(f"DELETE {_RANGE}", _bounds(message))


def _bounds(message: int) -> tuple[int, int]:
    return message << CHUNK_BITS, (message + 1) << CHUNK_BITS


class Reader:
    """Reads content while others write: a connection of its own, which threads may share."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def pieces(
        self, message: int, size: int, first: bytes = b"", digest: int | None = None
    ) -> Iterator[bytes]:
        """Yield the content of a message: `size` octets with this digest, if there is one.

        `first` is the first piece, if it has been read already; one that is all there is has been
        looked at then. Raises `DamagedError` in place of the last piece if the content is not what
        was put, and another OSError where that cannot be said.
        """
        if first and len(first) == size:
            yield first
            return
        number, left, found = message << CHUNK_BITS, size, 0
        if left <= 0:
            check(found, digest)
        while left > 0:
            chunk = first or self._chunk(number)
            first = b""
            left -= len(chunk)
            found = crc32(chunk, found)
            if not chunk or left < 0:
                self._missing(message, size)
            if not left:
                check(found, digest)
            yield chunk
            number += 1

    def _chunk(self, number: int) -> bytes:
        row = self._row("SELECT data FROM content WHERE id = ?", number)
        if row is not None and not isinstance(row[0], bytes):
            raise DamagedError(f"message {number >> CHUNK_BITS}: expected octets")
        return b"" if row is None else row[0]

    def _missing(self, message: int, size: int) -> NoReturn:
        if self._row("SELECT 1 FROM message WHERE id = ?", message) is None:
            raise OSError(f"message {message} has been removed")
        raise DamagedError(f"message {message}: expected {size} octets in the spool")

    def _row(self, question: str, number: int) -> tuple[Any, ...] | None:
        try:
            with self._lock:
                row: tuple[Any, ...] | None = self._connection.execute(
                    question, (number,)
                ).fetchone()
        except sqlite3.Error as error:
            kind = DamagedError if is_damage(error) else OSError
            raise kind(f"{error} in reading the spool") from error
        return row

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()
