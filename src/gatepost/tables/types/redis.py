"""`redis:NAME`: a table on a Redis or Valkey server, as `[redis.NAME]` describes.

A key is one of the server's (GET), a field of a hash (HGET) or a member of a set (SISMEMBER). All
keys of a query are sent in one write. A value of another type is an error.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gatepost.config.secret_file import read_secret
from gatepost.config.tables import RedisConfig
from gatepost.store.errors import StoreError
from gatepost.store.redis.commands import Command
from gatepost.store.redis.link import ErrorReply, Link
from gatepost.store.redis.url import SCHEMES, RedisUrl, parse_redis_url
from gatepost.tables.key_template import KeyTemplate
from gatepost.tables.remote import RemoteTable
from gatepost.tables.spec import TableSpec
from gatepost.tables.table import Found, TableError


class RedisTable(RemoteTable):
    """Keys, a hash or a set of a server."""

    failures = (OSError, ValueError, StoreError)

    def __init__(self, spec: TableSpec) -> None:
        options: RedisConfig = spec.options
        super().__init__(spec.name, options.timeout)
        self._url = _url(options, spec.base)
        self._template = KeyTemplate(options.key)
        self._command, self._value = _mode(options)
        self._link: Link | None = None

    async def _look_up(self, keys: Sequence[str]) -> Found:
        names = {key: name for key in keys if (name := self._template.fill(key)) is not None}
        if not names:
            return {}
        replies = await self._submit([(*self._command, name) for name in names.values()])
        values = zip(names, map(self._read, replies), strict=True)
        return {key: value for key, value in values if value is not None}

    async def _submit(self, commands: Sequence[Command]) -> list[Any]:
        if self._link is None:
            self._link = Link(self._url, timeout=self.timeout)
            return await self._link.submit(commands)
        try:
            return await self._link.submit(commands)
        except StoreError:  # the server may have closed the connection meanwhile
            return await self._link.submit(commands)

    def _read(self, reply: Any) -> str | None:
        if isinstance(reply, ErrorReply):
            raise TableError(self.name, reply.text)
        return self._value(reply)

    async def stop(self) -> None:
        """See `Table.stop`."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()


def _text(reply: Any) -> str | None:
    if reply is None:
        return None
    if not isinstance(reply, bytes):
        raise ValueError(f"expected a text, found {type(reply).__name__}")  # noqa: TRY004
    return reply.decode("utf-8", "replace")


def _member(reply: Any) -> str | None:
    if reply not in (0, 1):
        raise ValueError("expected 0 or 1")
    return "" if reply else None


def _mode(options: RedisConfig) -> tuple[Command, Callable[[Any], str | None]]:
    """Return the command without the name of the key, and the reader of its reply."""
    if options.hash and options.set:
        raise ValueError("expected hash or set, found both")
    if options.hash:
        return ("HGET", options.hash), _text
    return (("SISMEMBER", options.set), _member) if options.set else (("GET",), _text)


def _url(options: RedisConfig, base: Path) -> RedisUrl:
    if options.url.partition("://")[0] not in SCHEMES:
        raise ValueError("url: expected redis://, rediss:// or unix://")
    url = parse_redis_url(options.url)
    if not options.password_file:
        return url
    password = read_secret(base / options.password_file, "password")
    return msgspec.structs.replace(url, password=password)
