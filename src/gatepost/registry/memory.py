"""A registry in memory, for tests of plugins and for servers without a folder."""

from contextlib import suppress

from gatepost.lists.addresses import AddressList
from gatepost.registry.registry import SERVER, Edit, Registry, UnchangedError, read
from gatepost.registry.trap import RegisteredTrap, key_of
from gatepost.traps.notes import TrapState

# How the source is called in hits.
NAME = "registry"


class MemoryRegistry(Registry):
    """The traps of one process; `lines` are those of a registry's file, each with a state."""

    def __init__(self, *lines: str) -> None:
        self._lines = list(lines)
        self._current = AddressList.from_lines(self._lines, NAME)

    @property
    def current(self) -> AddressList:
        """See `Registry.current`."""
        return self._current

    def change(self, entry: str, edit: Edit) -> RegisteredTrap:
        """See `Registry.change`."""
        trap = edit(self.find(entry))
        self._lines.append(trap.line())
        self._current = AddressList.from_lines(self._lines, NAME)
        return trap

    def history(self, entry: str) -> list[RegisteredTrap]:
        """See `Registry.history`."""
        return read(self._current, entry)

    def retire_later(self, text: str, reason: str) -> None:
        """See `Registry.retire_later`; here it happens at once."""
        with suppress(UnchangedError):
            self.set_state(key_of(text), TrapState.RETIRED, SERVER, reason)
