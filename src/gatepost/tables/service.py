"""A table on a server with a look-up protocol: socketmap, tcp_table, Dovecot.

Theory of operation
-------------------
The connection is opened for the first key and kept. A server may close one that is idle, or close
after each answer. So if a connection fails that has answered before, the keys without an answer are
asked on a new one. After any other error, and when a query is given up, the connection is closed: a
late answer must never be taken for that of another key.

Limits: one query at a time; others wait. The caller limits the time.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from gatepost.tables.remote import RemoteTable
from gatepost.tables.service_address import ServiceAddress
from gatepost.tables.table import Found
from gatepost.wire.tables.conversation import Answer, Conversation

_READ_SIZE: Final = 65536


class ServiceProblemError(Exception):
    """The server could not look a key up; the text is its reason."""


class ServiceTable(RemoteTable):
    """The table of a server; `start` returns the conversation of a new connection."""

    failures = (OSError, ValueError, ServiceProblemError)

    def __init__(
        self, name: str, address: ServiceAddress, start: Callable[[], Conversation]
    ) -> None:
        super().__init__(name)
        self._address = address
        self._start = start
        self._connection: _Connection | None = None
        self._lock = asyncio.Lock()

    async def _look_up(self, keys: Sequence[str]) -> Found:
        async with self._lock:
            answers = await self._ask(keys)
        for answer in answers.values():
            if answer.problem:
                raise ServiceProblemError(answer.problem)
        return {key: answer.value for key, answer in answers.items() if answer.value is not None}

    async def _ask(self, keys: Sequence[str]) -> dict[str, Answer]:
        answers: dict[str, Answer] = {}
        while missing := [key for key in dict.fromkeys(keys) if key not in answers]:
            connection = await self._connected()
            try:
                await connection.ask(missing, answers)
            except ConnectionError:
                self._close()
                if not connection.has_answered:
                    raise
            except BaseException:
                self._close()
                raise
        return answers

    async def _connected(self) -> "_Connection":
        if self._connection is None or self._connection.is_closed:
            self._close()
            self._connection = _Connection(await self._address.connect(), self._start())
        return self._connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def stop(self) -> None:
        """See `Table.stop`."""
        self._close()


class _Connection:
    def __init__(
        self,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        conversation: Conversation,
    ) -> None:
        self._reader, self._writer = streams
        self._conversation = conversation
        self.has_answered = False
        self._writer.write(conversation.greeting)

    @property
    def is_closed(self) -> bool:
        """Return whether the server has closed the connection."""
        return self._reader.at_eof()

    async def ask(self, keys: Sequence[str], answers: dict[str, Answer]) -> None:
        """Add the answers about all keys."""
        size = len(keys) if self._conversation.pipelined else 1
        for start in range(0, len(keys), size):
            await self._exchange(keys[start : start + size], answers)

    async def _exchange(self, keys: Sequence[str], answers: dict[str, Answer]) -> None:
        self._writer.write(b"".join(map(self._conversation.request, keys)))
        await self._writer.drain()
        for _ in keys:
            answer = await self._answer()
            answers[answer.key] = answer

    async def _answer(self) -> Answer:
        while (answer := self._conversation.next_answer()) is None:
            data = await self._reader.read(_READ_SIZE)
            if not data:
                raise ConnectionError("the server closed the connection")
            self._conversation.receive_data(data)
        self.has_answered = True
        return answer

    def close(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()
