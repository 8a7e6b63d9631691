"""One version of a list of addresses, in memory.

Immutable: a change makes a new list, so that who holds one sees no half-made state. Everything is
looked up by canonical keys (`Address.key`); who made them is trusted to have made them so.

The order of a look-up: the exact address, the address without its subaddress, its domain, then
the regular expressions as they stand in the list. Of lines that name the same address one answers.

Limits: MAX_PATTERNS, because each costs time on every look-up that finds nothing else;
MAX_ERRORS of the lines that are no entry are kept, the others counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from gatepost.lists.entry import EntryKind, LineError, ListEntry, compile_pattern, parse_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from re import Match

# A search takes about 0.2 us.
MAX_PATTERNS = 1000
MAX_ERRORS = 1000


class ListSource(Protocol):
    """What has a list: the list itself, or a file that is read again when it changes."""

    @property
    def current(self) -> AddressList:
        """The version in force."""
        ...


class AddressList:
    """One version of a list.

    `errors` are the lines that are no entry (at most MAX_ERRORS), `bad_lines` how many there are.
    Iterating gives every entry in the order of its line, `len` counts them.
    """

    def __init__(self, items: Iterable[ListEntry | LineError] = ()) -> None:
        self.errors: list[LineError] = []
        self.bad_lines = 0
        self._entries: list[ListEntry] = []
        self._named: dict[str, ListEntry] = {}
        self._patterns: list[tuple[Callable[[str], Match[str] | None], ListEntry]] = []
        for item in items:
            if isinstance(item, LineError):
                self._add_error(item)
            else:
                self._add_entry(item)
        self._domains = any(key[0] == "@" for key in self._named)
        self._beyond_names = self._domains or bool(self._patterns)

    @classmethod
    def from_lines(cls, lines: Iterable[str], source: str) -> Self:
        """Read lines, numbered from 1; `source` is what entries and errors say they come from."""
        return cls(parse_lines(lines, source))

    @property
    def current(self) -> AddressList:
        """The list itself, which never changes: a `Source`."""
        return self

    def _add_error(self, error: LineError) -> None:
        self.bad_lines += 1
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(error)

    def _add_entry(self, entry: ListEntry) -> None:
        if entry.kind is not EntryKind.PATTERN:
            self._named.setdefault(entry.key, entry)
        elif len(self._patterns) < MAX_PATTERNS:
            self._patterns.append((compile_pattern(entry.text).search, entry))
        else:
            expected = f"at most {MAX_PATTERNS} regular expressions in a list"
            self._add_error(LineError(entry.source, entry.line, expected, entry.text))
            return
        self._entries.append(entry)

    def find(self, key: str, user_key: str) -> ListEntry | None:
        """Return the entry that names an address, or None.

        `key` is the canonical address, `user_key` the same without the subaddress (equal to `key`
        where there is none).
        """
        entry = self._named.get(key)
        if entry is None and user_key != key:
            entry = self._named.get(user_key)
        if entry is None and self._beyond_names:
            entry = self._find_beyond_names(key, user_key)
        return entry

    def exact(self, key: str) -> ListEntry | None:
        """Return the entry whose own key is `key`: an address, or `@` and a domain."""
        return self._named.get(key)

    def _find_beyond_names(self, key: str, user_key: str) -> ListEntry | None:
        if self._domains:
            entry = self.exact(key[key.rfind("@") :])
            if entry is not None:
                return entry
        for search, entry in self._patterns:
            if search(key) or (user_key != key and search(user_key)):
                return entry
        return None

    def with_local_part(self, locals_: frozenset[str]) -> Iterator[ListEntry]:
        """Yield the entries for an address whose local part, in lower case, is one of these."""
        return (entry for entry in self if local_part(entry) in locals_)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[ListEntry]:
        return iter(self._entries)


def local_part(entry: ListEntry) -> str:
    """Return the canonical local part of an address entry, "" of any other."""
    return entry.key.rpartition("@")[0] if entry.kind is EntryKind.ADDRESS else ""
