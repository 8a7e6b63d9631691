"""The store of several machines, on a Redis or Valkey server.

Keys are `PREFIX NAMESPACE:KEY`. Redis expires them by its own clock. The quota of a namespace does
not apply: configure `maxmemory` with `maxmemory-policy volatile-ttl`, which evicts the keys that
expire next, as the local stores do.

A server that refuses commands is unavailable: a read-only replica, a server that loads its data, a
full one. The connection is then opened again, because the name may lead to another server by now.
Limits: one server, no Cluster.
"""

from collections.abc import Sequence
from typing import Any

from gatepost.store.backend import Result
from gatepost.store.errors import StoreError
from gatepost.store.operations import AnyOperation
from gatepost.store.redis.commands import decode, encode, type_error
from gatepost.store.redis.link import ErrorReply, Link
from gatepost.store.redis.url import RedisUrl


class _RefusedError(Exception):
    """The server refused a command, whatever the key holds."""


class RedisBackend:
    """A store at `url`; `prefix` starts every key, `timeout` is in seconds."""

    def __init__(self, url: RedisUrl, *, prefix: str, timeout: float) -> None:
        self._url = url
        self._prefix = prefix
        self._timeout = timeout
        self._link: Link | None = None

    async def execute(self, namespace: str, operations: Sequence[AnyOperation]) -> list[Result]:
        """See `Backend.execute`."""
        link = self._link
        if link is None:
            link = self._link = Link(self._url, timeout=self._timeout)
        start = f"{self._prefix}{namespace}:"
        replies = await link.submit([encode(one, start + one.key) for one in operations])
        pairs = zip(operations, replies, strict=True)
        try:
            return [_result(operation, reply) for operation, reply in pairs]
        except _RefusedError as error:
            link.renew()
            raise StoreError(f"{self._url}: {error}") from error

    async def start(self) -> None:
        """See `Backend.start`."""

    async def close(self) -> None:
        """See `Backend.close`."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()


def _result(operation: AnyOperation, reply: Any) -> Result:
    if isinstance(reply, ErrorReply):
        error = type_error(operation, reply.text)
        if error is None:
            raise _RefusedError(reply.text)
        return error
    try:
        return decode(operation, reply)
    except StoreError as error:
        return error
