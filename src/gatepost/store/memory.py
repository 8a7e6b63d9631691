"""A store in the memory of one process, for tests, and for a worker whose shared store is away.

Limits: `quota` octets for each namespace (`gatepost.store.quota`). The state ends with the process.
"""

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush

from gatepost.store.backend import Result
from gatepost.store.errors import KeyTypeError
from gatepost.store.operations import AnyOperation, Entry, live
from gatepost.store.quota import QUOTA, size_of

# Stale positions in the queue of expiry that are kept before it is built again.
_STALE = 64


class MemoryBackend:
    """A store in memory; `clock` returns seconds since the epoch."""

    def __init__(self, *, clock: Callable[[], float], quota: int = QUOTA) -> None:
        self._clock = clock
        self._quota = quota
        self._namespaces: dict[str, _Namespace] = {}

    async def execute(self, namespace: str, operations: Sequence[AnyOperation]) -> list[Result]:
        """See `Backend.execute`."""
        space = self._namespaces.get(namespace)
        if space is None:
            space = self._namespaces[namespace] = _Namespace(self._quota)
        now = self._clock()
        return [space.run(operation, now) for operation in operations]

    def entries(self, namespace: str) -> dict[str, Entry]:
        """Return the live entries of a namespace by key."""
        space = self._namespaces.get(namespace)
        return {} if space is None else space.live_entries(self._clock())

    async def start(self) -> None:
        """See `Backend.start`."""

    async def close(self) -> None:
        """See `Backend.close`."""


class _Namespace:
    """The entries of a namespace, and a queue of (expiry, key) that may have stale positions."""

    def __init__(self, quota: int) -> None:
        self._quota = quota
        self._octets = 0
        self._entries: dict[str, Entry] = {}
        self._expiring: list[tuple[float, str]] = []

    def run(self, operation: AnyOperation, now: float) -> Result:
        """Return the result of an operation, or its `KeyTypeError`."""
        old = self._entries.get(operation.key)
        try:
            result, new = operation.apply(live(old, now), now)
        except KeyTypeError as error:
            return error
        if new is not old:
            self._replace(operation.key, old, new)
        return result

    def live_entries(self, now: float) -> dict[str, Entry]:
        """Return the entries that have not expired."""
        return {key: entry for key, entry in self._entries.items() if live(entry, now)}

    def _replace(self, key: str, old: Entry | None, new: Entry | None) -> None:
        self._octets += size_of(key, new) - size_of(key, old)
        if new is None:
            del self._entries[key]
            return
        self._entries[key] = new
        if old is None or old.expires != new.expires:
            heappush(self._expiring, (new.expires, key))
            self._drop_stale()
        while self._octets > self._quota and len(self._entries) > 1:
            self._evict(key)

    def _evict(self, kept: str) -> None:
        """Remove the entry that expires first, except `kept`."""
        expires, key = heappop(self._expiring)
        entry = self._entries.get(key)
        if entry is None or entry.expires != expires:
            return
        if key == kept:
            self._evict(kept)
            heappush(self._expiring, (expires, key))
            return
        del self._entries[key]
        self._octets -= size_of(key, entry)

    def _drop_stale(self) -> None:
        if len(self._expiring) > 2 * len(self._entries) + _STALE:
            self._expiring = [(entry.expires, key) for key, entry in self._entries.items()]
            heapify(self._expiring)
