"""The octets of a message in a spool file: in pieces, so that no message has to fit into memory."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator

from gatepost.delivery.spool.schema import CHUNK_BITS

CHUNK = 256 * 1024

_INSERT = "INSERT INTO content (id, data) VALUES (?, ?)"
_RANGE = "FROM content WHERE id >= ? AND id < ?"


class DamagedError(OSError):
    """A message is not in the spool as it was put there."""


def write_content(
    connection: sqlite3.Connection, message: int, pieces: Iterable[bytes]
) -> tuple[int, bytes]:
    """Store the content of a message; returns its size in octets, and its first piece."""
    size, first = 0, b""
    for number, chunk in enumerate(_chunks(pieces), start=message << CHUNK_BITS):
        connection.execute(_INSERT, (number, chunk))
        first = first or chunk
        size += len(chunk)
    return size, first


def _chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
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

    def pieces(self, message: int, size: int, first: bytes = b"") -> Iterator[bytes]:
        """Yield the content of a message; raises `DamagedError` if it is not `size` octets.

        `first` is the first piece, if it has been read already.
        """
        number, left = message << CHUNK_BITS, size
        while left > 0:
            chunk = first or self._chunk(number)
            first = b""
            left -= len(chunk)
            if not chunk or left < 0:
                raise DamagedError(f"message {message}: expected {size} octets in the spool")
            yield chunk
            number += 1

    def _chunk(self, number: int) -> bytes:
        with self._lock:
            try:
                row = self._connection.execute(
                    "SELECT data FROM content WHERE id = ?", (number,)
                ).fetchone()
            except sqlite3.Error as error:
                raise DamagedError(f"message {number >> CHUNK_BITS}: {error}") from error
        return b"" if row is None else row[0]

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()
