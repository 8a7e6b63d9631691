"""A registry that can be read only: changes are checked and not written."""

from gatepost.lists.addresses import AddressList
from gatepost.registry.registry import Edit, Registry
from gatepost.registry.trap import RegisteredTrap


class TrialRegistry(Registry):
    """The traps of another registry, for commands that play messages without an effect."""

    def __init__(self, real: Registry) -> None:
        self._real = real

    @property
    def current(self) -> AddressList:
        """See `Registry.current`."""
        return self._real.current

    def change(self, entry: str, edit: Edit) -> RegisteredTrap:
        """Return the next state, which is not written; raises as `Registry.change`."""
        trap = edit(self.find(entry))
        trap.line()
        return trap

    def history(self, entry: str) -> list[RegisteredTrap]:
        """See `Registry.history`."""
        return self._real.history(entry)

    def retire_later(self, text: str, reason: str) -> None:
        """Do nothing."""
