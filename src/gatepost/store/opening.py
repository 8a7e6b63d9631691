"""Opening the store that a URL names.

| URL | store |
| --- | --- |
| `local` | SQLite, for all workers of this machine, in the data folder |
| `memory` | the memory of this process, for tests |
| `redis://…`, `rediss://…`, `unix://…` | Redis or Valkey, for several machines |

Nothing is opened before the first operation. A wrong URL is an error at once. It may contain a
password, so messages do not quote it.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from gatepost.store.backend import Backend
from gatepost.store.guarded import GuardedBackend
from gatepost.store.memory import MemoryBackend
from gatepost.store.redis.url import SCHEMES, RedisUrl, parse_redis_url
from gatepost.store.store import OpenedStore

LOCAL = "local"
MEMORY = "memory"
PREFIX = "gatepost:"
# Seconds. A network round trip takes a millisecond, and a session must not wait for a store that
# does not answer.
TIMEOUT = 0.25
_EXPECTED = '"local", "memory", "redis://…", "rediss://…" or "unix://…"'


class StoreUrlError(ValueError):
    """The URL names no store; the text has the reason."""


def check_url(url: str) -> RedisUrl | None:
    """Return the parts of the URL of a server, None for a local store; raises `StoreUrlError`."""
    if url in {LOCAL, MEMORY}:
        return None
    scheme = url.partition("://")[0]
    if scheme == url or scheme not in SCHEMES:
        raise StoreUrlError(f"store.url: expected {_EXPECTED}")
    try:
        return parse_redis_url(url)
    except ValueError as error:
        raise StoreUrlError(f"store.url: {error}") from None


def open_store(
    url: str = LOCAL,
    *,
    folder: Path,
    prefix: str = PREFIX,
    timeout: float = TIMEOUT,
    clock: Callable[[], float] = time.time,
) -> OpenedStore:
    """Return the store of a worker; raises `StoreUrlError`.

    `folder` is for the files of a local store. `prefix` starts every key in Redis. An operation
    waits for `timeout` seconds at most. `clock` returns seconds since the epoch; a server uses its
    own.
    """
    server = check_url(url)
    if url == MEMORY:
        return OpenedStore(MemoryBackend(clock=clock), url)
    if server is None:
        return _guarded(_sqlite(folder, timeout, clock), f"SQLite in {folder}", clock)
    if find_spec("redis") is None:
        raise StoreUrlError("store.url: Redis needs the extra: pip install 'gatepost[redis]'")
    return _guarded(_redis(server, prefix, timeout), str(server), clock)


def _guarded(backend: Backend, name: str, clock: Callable[[], float]) -> OpenedStore:
    return OpenedStore(GuardedBackend(backend, name=name, clock=clock), name)


def modules_of(url: str) -> set[str]:
    """Return the module of the local store, if the URL names it."""
    return {"gatepost.store.sqlite.backend"} if url == LOCAL else set()


def _sqlite(folder: Path, timeout: float, clock: Callable[[], float]) -> Backend:
    from gatepost.store.sqlite.backend import SqliteBackend  # noqa: PLC0415 - only if it is used

    return SqliteBackend(folder, clock=clock, timeout=timeout)


def _redis(url: RedisUrl, prefix: str, timeout: float) -> Backend:
    from gatepost.store.redis.backend import RedisBackend  # noqa: PLC0415 - redis is an extra

    return RedisBackend(url, prefix=prefix, timeout=timeout)
