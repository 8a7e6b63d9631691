"""Stores in memory for tests of plugins."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from gatepost.plugin.clock import Clock
from gatepost.plugin.services import namespace
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.store.memory import MemoryBackend
from gatepost.store.operations import Value
from gatepost.store.store import OpenedStore, Store

_T = TypeVar("_T")


class MemoryStore(OpenedStore):
    """The store of all plugins of a test, in memory; it can be used in several servers in turn.

    `play`, `MemoryServer` and `RunningServer` take one as `store`. `clock` decides when keys
    expire; `play` and `RunningServer` replace it by theirs.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or VirtualClock()
        self._memory = MemoryBackend(clock=self._time)
        super().__init__(self._memory, "memory")

    def _time(self) -> float:
        return self.clock.time()

    def put(self, plugin: str, key: str, value: Value, *, ttl: float | None = None) -> None:
        """Write a value of a plugin, which is named as in the log; `ttl` is in seconds."""
        _finish(self.scope(namespace(plugin)).set(key, value, ttl=ttl))

    def values(self, plugin: str) -> dict[str, Value]:
        """Return all values of a plugin by key, without its token buckets."""
        entries = self._memory.entries(namespace(plugin))
        return {
            key: entry.stored
            for key, entry in entries.items()
            if not isinstance(entry.stored, float)
        }


def memory_store(clock: Clock | None = None, name: str = "test") -> Store:
    """Return the empty store of one plugin; `clock` decides when keys expire."""
    return MemoryStore(clock).scope(name)


def _finish(work: Coroutine[Any, Any, _T]) -> _T:
    """Return the result of an operation in memory, which never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        result: _T = done.value
        return result
    raise RuntimeError("an operation in memory waits")
