"""The servers of a scanner: if one does not accept a connection, the next one is asked.

Limits: a server that accepts connections and does not answer costs each message that is sent to it
its time-out. Such a server becomes the last one, so that the next message goes to another.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from gatepost.plugins._exchange import UnreachableError

ServerT = TypeVar("ServerT")
AnswerT = TypeVar("AnswerT")


class Servers(Generic[ServerT]):
    """The servers in the order in which they are asked; there is at least one."""

    def __init__(self, servers: Sequence[ServerT]) -> None:
        self._servers = list(servers)

    async def ask(self, scan: Callable[[ServerT], Awaitable[AnswerT]]) -> AnswerT:
        """Return what `scan` returns for the first server that accepts a connection.

        Raises `UnreachableError` if none does, and any other error of `scan`.
        """
        *others, last = self._servers
        for one in others:
            try:
                return await self._ask(one, scan)
            except UnreachableError:
                continue
        return await self._ask(last, scan)

    async def _ask(self, one: ServerT, scan: Callable[[ServerT], Awaitable[AnswerT]]) -> AnswerT:
        try:
            return await scan(one)
        except (UnreachableError, asyncio.CancelledError):  # cancelled by the time-out
            self._servers.remove(one)
            self._servers.append(one)
            raise
