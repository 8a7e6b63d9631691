"""The entries that were hit, with the networks of the clients.

Limits: MOST_ENTRIES entries, and MOST_NETWORKS pairs of an entry and a network. Hits of further
entries are not counted, and the number of networks is then too low.
"""

from collections.abc import Collection

from gatepost.checks.trap_report.findings import EntryTotals
from gatepost.ledger.records import Trap
from gatepost.traps.verdicts import TrapClass

MOST_ENTRIES = 100_000
MOST_NETWORKS = 500_000


class Entries:
    """Counts by entry; `most` and `most_networks` are the limits."""

    def __init__(self, most: int = MOST_ENTRIES, most_networks: int = MOST_NETWORKS) -> None:
        self._most = most
        self._most_networks = most_networks
        self._found: dict[tuple[str, str], EntryTotals] = {}
        self._networks: set[int] = set()
        self.is_full = False

    def __len__(self) -> int:
        return len(self._found)

    def hit(self, trap: Trap, network: str) -> EntryTotals | None:
        """Count a hit from a network; return the entry's counts, None if there are too many."""
        key = (trap.list, trap.entry)
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= self._most:
                self.is_full = True
                return None
            trap_class = trap.trap_class or TrapClass.PRISTINE.value
            found = self._found[key] = EntryTotals(trap.list, 0, trap.entry, trap_class)
        found.line = trap.line
        found.hits += 1
        pair = hash((*key, network))
        if network and pair not in self._networks and len(self._networks) < self._most_networks:
            self._networks.add(pair)
            found.networks += 1
        return found

    def top(self, count: int) -> list[EntryTotals]:
        """Return the entries with the most hits."""
        order = sorted(self._found.values(), key=lambda one: (-one.hits, one.list, one.entry))
        return order[:count]

    def texts(self) -> Collection[str]:
        """Return the entries that were hit, as they are in the lists."""
        return {entry for _, entry in self._found}
