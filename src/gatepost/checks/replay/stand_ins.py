"""The services of plugins in a replay. Each use of DNS and of the store is noted.

A look-up in DNS raises `ResolveError`, as if no name server answered. The store is in memory and
starts empty. The clock is set to the time of each record, and periodic jobs do not run. Messages of
plugins are dropped.
"""

import asyncio
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NoReturn

from gatepost.checks.replay.uses import DNS, STORE, Uses
from gatepost.model.session import Recipient, Transaction
from gatepost.net.block_list import Listable
from gatepost.net.resolve_error import ResolveError
from gatepost.plugin.services import CLAIMS
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.store.memory import MemoryBackend
from gatepost.store.operations import AnyOperation


class UnknownResolver:
    """A resolver without answers, for the plugin with this name."""

    def __init__(self, uses: Uses, plugin: str = "") -> None:
        self._uses = uses
        self._plugin = plugin

    def _unknown(self, name: object) -> NoReturn:
        self._uses.note(self._plugin, DNS)
        raise ResolveError(f"{name}: not looked up: a replay does not use DNS")

    async def a(self, name: str) -> list[str]:
        """Raise `ResolveError`."""
        self._unknown(name)

    async def aaaa(self, name: str) -> list[str]:
        """Raise `ResolveError`."""
        self._unknown(name)

    async def addresses(self, host: str) -> list[str]:
        """Raise `ResolveError`."""
        self._unknown(host)

    async def mx(self, domain: str) -> list[tuple[int, str]]:
        """Raise `ResolveError`."""
        self._unknown(domain)

    async def txt(self, name: str) -> list[str]:
        """Raise `ResolveError`."""
        self._unknown(name)

    async def ptr(self, address: IPv4Address | IPv6Address | str) -> list[str]:
        """Raise `ResolveError`."""
        self._unknown(address)

    async def listed(self, what: Listable, zone: str) -> list[str] | None:
        """Raise `ResolveError`."""
        self._unknown(f"{what} in {zone}")


class NotedStore(MemoryBackend):
    """A store in memory; `plugins` are the names of plugins by namespace."""

    def __init__(self, uses: Uses, clock: Callable[[], float]) -> None:
        super().__init__(clock=clock)
        self._uses = uses
        self.plugins: dict[str, str] = {}

    async def execute(self, namespace: str, operations: Sequence[AnyOperation]) -> list[Any]:
        """Execute operations, and note who did."""
        if namespace != CLAIMS:
            self._uses.note(self.plugins.get(namespace, ""), STORE)
        return await super().execute(namespace, operations)


class ReplayClock(VirtualClock):
    """A clock that is set to the time of each record; waits do not move it.

    Periodic jobs of plugins do not run.
    """

    def set(self, moment: float) -> None:
        """Set the clock, also back: records are in the order of their ends."""
        self._time = moment

    async def sleep(self, seconds: float) -> None:
        """Let other tasks run."""
        del seconds
        await asyncio.sleep(0)

    async def wait_until(self, moment: float, *, spread: float = 0.0) -> None:
        """Wait until the task is cancelled."""
        del moment, spread
        await asyncio.get_running_loop().create_future()


class Nowhere:
    """A spool that drops what plugins submit."""

    async def put(
        self, tx: Transaction, recipients: Sequence[Recipient], *_args: Any, **_options: Any
    ) -> None:
        """Drop a message."""
