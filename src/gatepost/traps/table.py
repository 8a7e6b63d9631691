"""The trap table: which recipients are traps, and which entries of the lists are not armed.

The table checks the lists in order, each in its current version. It never treats an address of real
mail as a trap: the role addresses in ROLES at any domain, and known recipients. An entry for
exactly such an address is not armed; it has no effect and is reported. A `@domain` or `/pattern/`
entry that covers one exempts it and stays armed for all others.

A hit has the class in the note of its entry, pristine without one (`notes`). Only an entry with a
class can have guessable traps: an address that was listed without one refuses the whole message,
whatever its name. An entry that is retired or has expired is no trap.

The registry (`gatepost.registry`) is searched after the lists. Its entries have a state; a line
without one was cut off when it was written, and has no effect.

An entry with a subaddress (`user+shop@example.com`, a leaked tag) is judged as written. It is armed
even if `user@example.com` is a known recipient or a role, unless the tagged address itself is a
known recipient. Only address entries of the known recipients count here, not their `@domain` and
`/pattern/` entries: a domain that accepts every address must still be able to have traps.

Every RCPT costs one look-up per list and a search of every pattern. Roles and known recipients are
checked only after a hit.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import Final

from gatepost.lists.addresses import AddressList, ListSource, local_part
from gatepost.lists.entry import EntryKind, ListEntry
from gatepost.model.address import Address
from gatepost.model.session import TrapHit
from gatepost.model.structs import Frozen
from gatepost.traps.guessable import is_guessable
from gatepost.traps.notes import TrapState, read_marks
from gatepost.traps.verdicts import TrapClass

# RFC 5321 s4.5.1: postmaster must be accepted. RFC 2142 s4: abuse is where complaints go.
ROLES: Final = frozenset({"postmaster", "abuse"})

_PATTERN: Final = EntryKind.PATTERN
_PRISTINE: Final = TrapClass.PRISTINE.value
_SHADOW: Final = TrapState.SHADOW


class UnarmedReason(Enum):
    """The reasons why an entry is not armed; reports show the value."""

    ROLE = "a role address (RFC 2142)"
    KNOWN = "a known recipient"


class UnarmedEntry(Frozen, frozen=True):
    """An entry of a trap list that has no effect, with the reason."""

    entry: ListEntry
    reason: UnarmedReason

    def __str__(self) -> str:
        entry = self.entry
        line = f"{entry.source}:{entry.line}"
        return f"{line}: {entry.text} is not armed: it is {self.reason.value}"


class TrapTable:
    """The trap lists, the registry, and the known recipients, which are exempt.

    `lists`, `known` and `registry` are lists, or files; each look-up uses the current version.
    """

    def __init__(
        self,
        lists: Sequence[ListSource],
        known: Sequence[ListSource] = (),
        registry: ListSource | None = None,
    ) -> None:
        self.lists = (*lists, *(() if registry is None else (registry,)))
        self.registry = registry
        self._known = tuple(known)

    def match(self, address: Address, key: str, user_key: str, now: float) -> TrapHit | None:
        """Return the trap hit of an address, or None.

        `key` is `address.key`, `user_key` the key without the subaddress. The caller passes them,
        because it needs them for other look-ups too. `now` is in seconds since 1970.

        Security: a hit costs the same as a miss. All lists and patterns are searched, because
        clients can measure the time of the reply.
        """
        found: TrapHit | None = None
        for source in self.lists:
            current = source.current
            entry = current.find(key, user_key)
            if entry is None:
                continue
            if entry.kind is not _PATTERN:  # otherwise `find` has searched them
                current.search_patterns(key, user_key)
            if found is None and not self._is_exempt(entry, key, user_key):
                found = self._hit(address, entry, user_key, now, source)
        return found

    def _hit(
        self, address: Address, entry: ListEntry, user_key: str, now: float, source: ListSource
    ) -> TrapHit | None:
        """Return the hit of an entry, None if the entry has no effect any more."""
        marks, registered = read_marks(entry.note), source is self.registry
        if marks.is_over(now) or (registered and marks.state is None):
            return None
        guessable = (
            marks.trap_class is not None
            and not marks.spoils
            and is_guessable(user_key.rpartition("@")[0])
        )
        return TrapHit(
            address,
            entry.text,
            marks.note,
            entry.source,
            entry.line,
            _PRISTINE if marks.trap_class is None else marks.trap_class.value,
            guessable,
            shadow=marks.state is _SHADOW,
            registered=registered,
            exempt=marks.exempt,
        )

    def _is_exempt(self, entry: ListEntry, key: str, user_key: str) -> bool:
        keys = (key,) if entry.key == key else (key, user_key)
        return any(self._exemption(one) is not None for one in keys)

    def _exemption(self, key: str) -> UnarmedReason | None:
        if key.rpartition("@")[0] in ROLES:
            return UnarmedReason.ROLE
        if any(source.current.exact(key) for source in self._known):
            return UnarmedReason.KNOWN
        return None

    def unarmed_entries(self) -> list[UnarmedEntry]:
        """Return the entries that are not armed, list by list.

        The time is proportional to the smaller of the two lists compared, plus one fast pass over
        each trap list to find roles.
        """
        return [
            UnarmedEntry(entry, reason)
            for source in self.lists
            for entry, reason in self.unarmed(source.current)
        ]

    def unarmed(self, traps: AddressList) -> Iterator[tuple[ListEntry, UnarmedReason]]:
        """Yield the entries of one list that are not armed, with the reasons."""
        found = dict.fromkeys(traps.with_local_part(ROLES), UnarmedReason.ROLE)
        for source in self._known:
            for entry in _in_both(traps, source.current):
                found.setdefault(entry, UnarmedReason.KNOWN)
        for entry in sorted(found, key=lambda entry: entry.line):
            yield entry, found[entry]


def _in_both(traps: AddressList, known: AddressList) -> Iterable[ListEntry]:
    """Yield the address entries of `traps` that `known` contains too; iterate the shorter list."""
    if len(traps) <= len(known):
        return (entry for entry in traps if local_part(entry) and known.exact(entry.key))
    found = (traps.exact(other.key) for other in known if other.kind is EntryKind.ADDRESS)
    return (entry for entry in found if entry is not None)
