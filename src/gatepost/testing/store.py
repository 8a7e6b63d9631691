"""A store in memory for tests of plugins."""

from pathlib import Path

from gatepost.plugin.clock import Clock
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.store.opening import MEMORY, open_store
from gatepost.store.store import Store


def memory_store(clock: Clock | None = None, name: str = "test") -> Store:
    """Return an empty store in memory; `clock` decides when keys expire."""
    clock = clock or VirtualClock()
    return open_store(MEMORY, folder=Path(), clock=clock.time).scope(name)
