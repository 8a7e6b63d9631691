"""One version of an address list, in memory.

A list is immutable: a change creates a new list, so no reader sees a half-made state. Look-ups use
canonical keys (`Address.key`); the caller must pass canonical keys.

The order of a look-up: the exact address, the address without its subaddress, its domain, then the
regular expressions in the order of the list. If several lines name the same address, the last one
counts: a line that is appended replaces an earlier one.

Limits: those of `patterns`, because each pattern costs time in every look-up without another match.
MAX_ERRORS of the bad lines are kept; the rest are only counted.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol, Self

from gatepost.lists.entry import EntryKind, LineError, ListEntry, parse_lines
from gatepost.lists.patterns import PatternError, PatternSet

MAX_ERRORS = 1000


class ListSource(Protocol):
    """A list, or a file that is read again when it changes."""

    @property
    def current(self) -> "AddressList":
        """The current version."""
        ...


class AddressList:
    """One version of a list.

    `errors` has the bad lines (at most MAX_ERRORS), `bad_lines` is their number. Iteration returns
    the entries in the order of their lines.
    """

    def __init__(self, items: Iterable[ListEntry | LineError] = ()) -> None:
        self.errors: list[LineError] = []
        self.bad_lines = 0
        self._entries: list[ListEntry] = []
        self._by_key: dict[str, ListEntry] = {}
        self._patterns: PatternSet[ListEntry] = PatternSet()
        for item in items:
            if isinstance(item, LineError):
                self._add_error(item)
            else:
                self._add_entry(item)
        self._patterns.prepare()
        self._has_domains = any(key[0] == "@" for key in self._by_key)
        self._has_fallbacks = self._has_domains or bool(self._patterns)

    @classmethod
    def from_lines(cls, lines: Iterable[str], source: str) -> Self:
        """Read lines, numbered from 1; `source` is the file name in entries and errors."""
        return cls(parse_lines(lines, source))

    @property
    def current(self) -> Self:
        """The list itself, as a `ListSource`."""
        return self

    def _add_error(self, error: LineError) -> None:
        self.bad_lines += 1
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(error)

    def _add_entry(self, entry: ListEntry) -> None:
        if entry.kind is not EntryKind.PATTERN:
            self._by_key[entry.key] = entry
        elif not self._add_pattern(entry):
            return
        self._entries.append(entry)

    def _add_pattern(self, entry: ListEntry) -> bool:
        try:
            self._patterns.add(entry.text[1:-1], entry)
        except PatternError as error:
            self._add_error(LineError(entry.source, entry.line, str(error), entry.text))
            return False
        return True

    def find(self, key: str, user_key: str) -> ListEntry | None:
        """Return the entry that matches an address, or None.

        `key` is the canonical address, `user_key` the address without its subaddress. Without a
        subaddress both are equal.
        """
        entry = self._by_key.get(key)
        if entry is None and user_key != key:
            entry = self._by_key.get(user_key)
        if entry is None and self._has_fallbacks:
            entry = self._find_in_domains_and_patterns(key, user_key)
        return entry

    def exact(self, key: str) -> ListEntry | None:
        """Return the entry with exactly this key (an address, or `@` and a domain), or None."""
        return self._by_key.get(key)

    def _find_in_domains_and_patterns(self, key: str, user_key: str) -> ListEntry | None:
        if self._has_domains:
            entry = self.exact(key[key.rfind("@") :])
            if entry is not None:
                return entry
        return self.search_patterns(key, user_key)

    def search_patterns(self, key: str, user_key: str) -> ListEntry | None:
        """Return the first regular expression that matches; all are searched, for even times."""
        return self._patterns.find(key, user_key)

    def with_local_part(self, local_parts: frozenset[str]) -> Iterator[ListEntry]:
        """Yield the address entries with one of these local parts, given in lower case."""
        return (entry for entry in self if local_part(entry) in local_parts)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[ListEntry]:
        return iter(self._entries)


def local_part(entry: ListEntry) -> str:
    """Return the canonical local part of an address entry, or "" for other kinds."""
    return entry.key.rpartition("@")[0] if entry.kind is EntryKind.ADDRESS else ""
