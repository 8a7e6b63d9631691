"""The base of importers: it collects finished transactions.

An importer gets every entry of the log in order. It returns whether the entry is one of its server;
entries of other programs are counted by the reader.
"""

from abc import ABC, abstractmethod

from gatepost.importers.entry import Entry
from gatepost.importers.open_table import MOST_OPEN
from gatepost.importers.transaction import Transaction


class Importer(ABC):
    """Turns entries into transactions. `most` limits what is open at the same time."""

    def __init__(self, most: int = MOST_OPEN) -> None:
        self.most = most
        self._done: list[Transaction] = []

    @abstractmethod
    def feed(self, entry: Entry) -> bool:
        """Read an entry; return whether it is one of this server."""

    @abstractmethod
    def finish(self) -> None:
        """End everything that is open."""

    @property
    @abstractmethod
    def dropped(self) -> int:
        """The number of sessions and messages dropped because too many were open."""

    def emit(self, transaction: Transaction) -> None:
        """Add a finished transaction."""
        if not transaction.ended:
            transaction.ended = transaction.time
        self._done.append(transaction)

    def take(self) -> list[Transaction]:
        """Return the transactions that are finished since the last call."""
        if not self._done:
            return self._done
        done, self._done = self._done, []
        return done
