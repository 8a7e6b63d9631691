"""The registry of traps for plugins: `self.traps`.

Blocking work is done in a thread. Every change has the name of the plugin as its author. A trap
that a plugin adds must be safe without a person who looks at it: an address that exists, a role
address, or one that is a typing error away from a user cannot be armed.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from gatepost.lists.addresses import AddressList, ListSource
from gatepost.log.os_error import describe_os_error
from gatepost.plugin.clock import Clock
from gatepost.registry.objections import near, objections
from gatepost.registry.registry import Registry
from gatepost.registry.trap import RegisteredTrap, author, key_of
from gatepost.store.errors import StoreError
from gatepost.tables.known import KnownTables
from gatepost.tables.table import TableError
from gatepost.traps.notes import TrapState

_Result = TypeVar("_Result")


class Traps:
    """The registered traps, and changes to them, for one plugin.

    An entry is an address or `@domain`, in any spelling. Methods that change something raise
    ValueError for wrong arguments, `NoSuchTrapError` and `UnchangedError` (ValueErrors too) for a
    trap that is not registered or has this state already, and `StoreError` if the registry cannot
    be written or a table of known recipients does not answer.
    """

    def __init__(
        self,
        registry: Registry,
        known: Sequence[ListSource],
        known_tables: KnownTables,
        clock: Clock,
        plugin: str,
    ) -> None:
        self._registry = registry
        self._known = known
        self._known_tables = known_tables
        self._clock = clock
        self._by = author(plugin, "plugin")

    def find(self, entry: str) -> RegisteredTrap | None:
        """Return the trap with exactly this entry, None without one. Costs a look-up in memory."""
        return self._registry.find(key_of(entry))

    async def add(
        self,
        entry: str,
        *,
        reason: str,
        trap_class: str = "learned",
        state: str = "shadow",
        expires: float = 0.0,
    ) -> RegisteredTrap:
        """Register a trap, or replace what is registered for the entry; return it.

        `expires` is in seconds since 1970, rounded down to a day (UTC), 0 for never.
        """
        trap = RegisteredTrap(
            entry=key_of(entry),
            trap_class=trap_class,
            state=TrapState(state).value,
            expires=expires - expires % 86400,
            reason=reason,
            by=self._by,
            at=float(int(self._clock.time())),
        )
        await self._check(trap.entry, state)
        return await self._run(lambda: self._registry.change(trap.entry, lambda _old: trap))

    async def set_state(self, entry: str, state: str, *, reason: str) -> RegisteredTrap:
        """Change the state of a trap to "shadow", "armed" or "retired"; return the trap."""
        key, new = key_of(entry), TrapState(state)
        await self._check(key, state)
        return await self._run(lambda: self._registry.set_state(key, new, self._by, reason))

    async def exempt(self, entry: str, domain: str, *, reason: str) -> RegisteredTrap:
        """Let a trap have no effect for senders of a domain that SPF has proven; return it."""
        key = key_of(entry)
        proven = key_of(f"@{domain}")[1:]
        return await self._run(lambda: self._registry.exempt(key, proven, self._by, reason))

    async def note(self, entry: str, *, reason: str) -> RegisteredTrap:
        """Add a line to the history of a trap, which stays as it is; return it."""
        key = key_of(entry)
        return await self._run(lambda: self._registry.note(key, self._by, reason))

    async def _check(self, entry: str, state: str) -> None:
        if state != TrapState.ARMED.value:
            return
        known = [*self._known, await self._in_tables(entry)]
        for objection in objections(entry, known):
            raise ValueError(f"{entry} cannot be armed: {objection}")

    async def _in_tables(self, entry: str) -> AddressList:
        """Return the entry, and the addresses next to it, as far as tables have them."""
        try:
            found = await self._known_tables.select(near(entry)) if self._known_tables else ()
        except TableError as error:
            raise StoreError(str(error)) from error
        return AddressList.from_lines(found, "recipients.known")

    async def _run(self, change: Callable[[], _Result]) -> _Result:
        try:
            return await asyncio.to_thread(change)
        except OSError as error:
            raise StoreError(describe_os_error(error)) from error
