"""The common part of the look-up protocols: bytes in, answers out.

A `Conversation` is the client's side of one connection. The caller sends `greeting` once and
`request(key)` for each key, passes what it receives to `receive_data`, and takes answers with
`next_answer` until it returns None.

Trust: none. Input that is no answer of the protocol, or an answer without a request, raises
`BadAnswerError`; the connection is then of no use any more. Limits: each protocol has one for the
size of an answer, and at most one answer that is not complete is in memory.
"""

from abc import ABC, abstractmethod
from collections import deque
from typing import ClassVar, Final, NamedTuple

# Octets of an answer that are quoted in an error.
_QUOTED: Final = 60


class BadAnswerError(ValueError):
    """The server has sent something else than an answer; the text has what was expected."""

    def __init__(self, expected: str, found: bytes | bytearray) -> None:
        super().__init__(f"expected {expected}, found {bytes(found[:_QUOTED])!r}")


class Answer(NamedTuple):
    """The answer about a key: its value, None if it is not in the table.

    With a `problem` the server could not look the key up.
    """

    key: str
    value: str | None = None
    problem: str = ""


class Conversation(ABC):
    """The client's side of one connection.

    Only a `pipelined` protocol allows a request before the answer to the previous one.
    """

    greeting: ClassVar[bytes] = b""
    pipelined: ClassVar[bool] = False

    def __init__(self) -> None:
        self._buffer = bytearray()

    @abstractmethod
    def request(self, key: str) -> bytes:
        """Return the octets of a request."""

    @abstractmethod
    def next_answer(self) -> Answer | None:
        """Return the next complete answer, None if there is none; raises `BadAnswerError`."""

    def receive_data(self, data: bytes) -> None:
        """Buffer octets from the server."""
        self._buffer += data

    def _take_line(self, most: int) -> bytes | None:
        """Return the next line without its LF, None if it is not complete.

        Raises `BadAnswerError` for one of more than `most` octets.
        """
        end = self._buffer.find(b"\n")
        if end > most or (end < 0 and len(self._buffer) > most):
            raise BadAnswerError(f"a line of at most {most} octets", self._buffer)
        if end < 0:
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line


class OrderedConversation(Conversation):
    """A conversation in which answers come in the order of the requests, without their keys."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: deque[str] = deque()

    def request(self, key: str) -> bytes:
        """See `Conversation.request`."""
        self._asked.append(key)
        return self._encode(key)

    def next_answer(self) -> Answer | None:
        """See `Conversation.next_answer`."""
        content = self._take()
        if content is None:
            return None
        if not self._asked:
            raise BadAnswerError("no answer without a request", content)
        return self._decode(self._asked.popleft(), content)

    @abstractmethod
    def _encode(self, key: str) -> bytes:
        """Return the request for a key."""

    @abstractmethod
    def _take(self) -> bytes | None:
        """Return the octets of the next answer, None if it is not complete."""

    @abstractmethod
    def _decode(self, key: str, content: bytes) -> Answer:
        """Return the answer about a key; raises `BadAnswerError`."""


def text(value: bytes) -> str:
    """Return octets as text; those that are not UTF-8 are replaced."""
    return value.decode("utf-8", "replace")
