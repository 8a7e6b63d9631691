"""The registry of traps: what is there, and the changes that commands, plugins and sessions make.

A change is one line at the end of the text: the whole state of the trap, who changed it, when and
why. So the text is the history too, and a change costs the same in a registry of any size. The file
of a machine is `file`, the one of tests `memory`.

Trusts: its own lines. A line without a state was cut off by a crash and has no effect.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

import msgspec

from gatepost.lists.addresses import AddressList
from gatepost.lists.entry import ListEntry
from gatepost.lists.file import ListFile
from gatepost.registry.trap import RegisteredTrap
from gatepost.traps.notes import TrapState

# The author of changes that the server makes itself.
SERVER = "gatepost"

# Returns the new state of a trap; its argument is the present one, None for a new trap.
Edit = Callable[[RegisteredTrap | None], RegisteredTrap]


class NoSuchTrapError(ValueError):
    """The address is not in the registry."""


class UnchangedError(ValueError):
    """The trap has this state already."""


class Registry(ABC):
    """Registered traps; `current` has the last lines of all, for look-ups by canonical key."""

    clock: Callable[[], float] = staticmethod(time.time)
    # What is to be loaded and watched.
    files: Sequence[ListFile] = ()

    @property
    @abstractmethod
    def current(self) -> AddressList:
        """The present version, as a `ListSource`."""

    @abstractmethod
    def change(self, entry: str, edit: Edit) -> RegisteredTrap:
        """Write the next state of a trap and return it; `entry` is in canonical form.

        Another program cannot change the registry in between. Raises OSError, and ValueError for a
        state that cannot be written, or what `edit` raises. Blocks.
        """

    @abstractmethod
    def history(self, entry: str) -> list[RegisteredTrap]:
        """Return all states of a trap, the oldest first; raises OSError. Blocks."""

    @abstractmethod
    def retire_later(self, text: str, reason: str) -> None:
        """Retire a trap in the background; `text` is the entry as written. Does not block."""

    def close(self) -> None:  # noqa: B027 - only the file has something to wait for
        """Wait for changes in the background."""

    def find(self, entry: str) -> RegisteredTrap | None:
        """Return the trap with this canonical entry, None without one."""
        found = self.current.exact(entry)
        return None if found is None else RegisteredTrap.of(found)

    def traps(self) -> Iterator[RegisteredTrap]:
        """Yield the present state of each trap, in the order of their last changes."""
        return filter(None, map(RegisteredTrap.of, last_lines(self.current)))

    def set_state(self, entry: str, state: TrapState, by: str, reason: str) -> RegisteredTrap:
        """Change the state of a trap; raises as `change`, `NoSuchTrapError`, `UnchangedError`."""

        def edit(old: RegisteredTrap) -> dict[str, object]:
            if old.state == state.value:
                raise UnchangedError(f"already {old.state}")
            return {"state": state.value}

        return self._replace(entry, by, reason, edit)

    def exempt(self, entry: str, domain: str, by: str, reason: str) -> RegisteredTrap:
        """Exempt the senders of a domain from a trap; raises as `set_state`."""

        def edit(old: RegisteredTrap) -> dict[str, object]:
            if domain in old.exempt:
                raise UnchangedError(f"already exempt for {domain}")
            return {"exempt": (*old.exempt, domain)}

        return self._replace(entry, by, reason, edit)

    def note(self, entry: str, by: str, reason: str) -> RegisteredTrap:
        """Add a line to the history of a trap without a change; raises as `set_state`."""
        return self._replace(entry, by, reason, lambda _old: {})

    def _replace(
        self,
        entry: str,
        by: str,
        reason: str,
        fields: Callable[[RegisteredTrap], dict[str, object]],
    ) -> RegisteredTrap:
        def edit(old: RegisteredTrap | None) -> RegisteredTrap:
            if old is None:
                raise NoSuchTrapError("not in the registry")
            now = float(int(self.clock()))
            return msgspec.structs.replace(old, **fields(old), by=by, reason=reason, at=now)

        return self.change(entry, edit)


def last_lines(lines: AddressList) -> Iterator[ListEntry]:
    """Yield the last line of each entry, in the order of the lines."""
    for entry in lines:
        last = lines.exact(entry.key)
        if last is not None and last.line == entry.line:
            yield entry


def read(lines: AddressList, entry: str) -> list[RegisteredTrap]:
    """Return the states of one trap in the order of their lines."""
    states = (RegisteredTrap.of(one) for one in lines if one.key == entry)
    return [one for one in states if one is not None]
