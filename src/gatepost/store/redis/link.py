"""One connection to Redis, for all callers of a worker.

Theory of operation
-------------------
Callers leave their commands and wait for a future. A task sends everything that waits, in one
write, and reads the replies; meanwhile further commands collect for the next write. The task ends
when none is left. A caller that is cancelled drops its future; the connection is not affected, so
replies never move to another command.

Commands have a common deadline, `timeout` seconds after the first of them was left. If it passes,
or the connection fails, all waiting commands fail and the connection is closed. The next command
opens a new one.

Trusts: redis-py for the protocol, authentication and TLS. Limits: MAX_WAITING commands.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from gatepost.store.errors import StoreError
from gatepost.store.redis.commands import Command
from gatepost.store.redis.url import RedisUrl

# More are waiting only if the server answers slowly: the deadline is near in any case.
MAX_WAITING = 10_000


class ErrorReply(NamedTuple):
    """An error that the server replied to one command."""

    text: str


class _Request(NamedTuple):
    commands: Sequence[Command]
    future: asyncio.Future[list[Any]]
    deadline: float


class Link:
    """The connection; `timeout` is in seconds."""

    def __init__(self, url: RedisUrl, *, timeout: float) -> None:
        self._url = url
        self._timeout = timeout
        self._connection = make_connection(url)
        self._waiting: list[_Request] = []
        self._task: asyncio.Task[None] | None = None
        self._is_stale = False

    def renew(self) -> None:
        """Open another connection for the next command."""
        self._is_stale = True

    def submit(self, commands: Sequence[Command]) -> asyncio.Future[list[Any]]:
        """Return the future of the replies; it raises `StoreError`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Any]] = loop.create_future()
        if len(self._waiting) >= MAX_WAITING:
            future.set_exception(StoreError(f"{self._url}: too many operations are waiting"))
            return future
        self._waiting.append(_Request(commands, future, loop.time() + self._timeout))
        if self._task is None:
            self._task = loop.create_task(self._serve())
        return future

    async def close(self) -> None:
        """Fail the waiting commands and close the connection."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._fail(StoreError(f"{self._url}: closed"), self._waiting)

    async def _serve(self) -> None:
        try:
            while self._waiting:
                await self._exchange(self._waiting)
        finally:
            self._task = None

    async def _exchange(self, requests: list[_Request]) -> None:
        self._waiting = []
        try:
            async with asyncio.timeout_at(requests[0].deadline):
                replies = await self._round_trip(
                    [one for part in requests for one in part.commands]
                )
        except asyncio.CancelledError:
            await self._fail(StoreError(f"{self._url}: closed"), requests)
            raise
        except TimeoutError:
            await self._fail(StoreError(f"{self._url}: no answer in time"), requests)
        except Exception as error:  # noqa: BLE001 - whatever fails, no caller may wait for ever
            await self._fail(StoreError(f"{self._url}: {error}"), requests)
        else:
            for request in requests:
                if not request.future.done():
                    request.future.set_result(replies[: len(request.commands)])
                del replies[: len(request.commands)]

    async def _round_trip(self, commands: Sequence[Command]) -> list[Any]:
        connection = self._connection
        if self._is_stale:
            self._is_stale = False
            await connection.disconnect(nowait=True)
        if not connection.is_connected:
            await connection.connect()
        await connection.send_packed_command(connection.pack_commands(commands))
        return [await self._reply() for _ in commands]

    async def _reply(self) -> Any:
        try:
            return await self._connection.read_response(disable_decoding=True)
        except ResponseError as error:
            return ErrorReply(str(error))

    async def _fail(self, error: StoreError, requests: list[_Request]) -> None:
        """Close the connection; fail these requests and those that came meanwhile."""
        await self._connection.disconnect(nowait=True)
        failed, self._waiting = requests + self._waiting, []
        for request in failed:
            if not request.future.done():
                request.future.set_exception(error)


def make_connection(url: RedisUrl) -> Any:
    """Return a connection of redis-py, not connected yet. The deadline of a command covers it."""
    common: dict[str, Any] = {
        "db": url.database,
        "username": url.user or None,
        "password": url.password or None,
        "protocol": 2,
        "socket_timeout": None,
        "socket_connect_timeout": None,
        "retry": Retry(NoBackoff(), 0),
    }
    if url.path:
        return UnixDomainSocketConnection(path=url.path, **common)
    if not url.tls:
        return Connection(host=url.host, port=url.port, **common)
    return SSLConnection(
        host=url.host,
        port=url.port,
        ssl_cert_reqs="required",
        ssl_check_hostname=True,
        ssl_ca_certs=url.ca or None,
        **common,
    )
