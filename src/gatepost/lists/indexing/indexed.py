"""One version of a big list: an index, overlaid with the changes since it was built.

Lines that were removed are masked by their offsets. Lines that were added are kept in memory like a
small list, as are the patterns and bad lines of the index. Line numbers are those of the current
file. If several lines name the same address, an added one counts, otherwise the last one.

Immutable, like every list. Trusts the index; `index` describes its checks.
"""

import heapq
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import accumulate, chain
from operator import attrgetter
from typing import NamedTuple

from gatepost.lists.addresses import AddressList, local_part
from gatepost.lists.entry import EntryKind, LineError, ListEntry, parse_octets, parse_or_error
from gatepost.lists.indexing.difference import Hunk
from gatepost.lists.indexing.index import Index
from gatepost.lists.text import read_lines, with_pauses

_BY_LINE = attrgetter("line")


class IndexedList(AddressList):
    """A list with an index; otherwise equivalent to an `AddressList`."""

    def __init__(self, index: Index, hunks: Sequence[Hunk], source: str) -> None:
        self._index = index
        self._source = source
        self._edits = Edits(index, hunks)
        added = self._edits.added_items(source)
        super().__init__(sorted(chain(self._specials(), added), key=_BY_LINE))
        removed = self._edits.removed
        self._count = index.header.words - removed.entries
        self._has_domains = self._has_domains or index.header.domains > 0
        self._has_fallbacks = self._has_domains or bool(self._patterns)
        self.bad_lines += max(0, index.header.bad_lines - removed.bad_lines - self._kept_bad_lines)

    def _specials(self) -> Iterable[ListEntry | LineError]:
        items = [
            item
            for offset in self._index.specials
            if not self._edits.masks(offset) and (item := self._item(offset))
        ]
        self._kept_bad_lines = sum(isinstance(item, LineError) for item in items)
        return items

    def find(self, key: str, user_key: str) -> ListEntry | None:
        """Return the entry that matches an address, or None; as `AddressList.find`."""
        entry = self.exact(key)
        if entry is None and user_key != key:
            entry = self.exact(user_key)
        if entry is None and self._has_fallbacks:
            entry = self._find_in_domains_and_patterns(key, user_key)
        return entry

    def exact(self, key: str) -> ListEntry | None:
        """Return the entry with exactly this key (an address, or `@` and a domain), or None."""
        found = self._by_key.get(key)
        if found is None:
            for offset in self._index.candidates(key):  # in the order of the lines
                entry = self._read(offset)
                if entry is not None and entry.key == key:
                    found = entry
        return found

    def _read(self, offset: int) -> ListEntry | None:
        """Return the address or domain entry at an offset of the index, if not masked."""
        if self._edits.masks(offset):
            return None
        return _indexed_entry(self._item(offset))

    def _item(self, offset: int) -> ListEntry | LineError | None:
        raw, number = self._index.line(offset)
        return parse_or_error(parse_octets, raw, self._source, number + self._edits.shift(offset))

    def with_local_part(self, local_parts: frozenset[str]) -> Iterator[ListEntry]:
        """Yield the address entries with one of these local parts, given in lower case."""
        kept = (entry for entry in self._entries if local_part(entry) in local_parts)
        return heapq.merge(kept, self._indexed_with(local_parts), key=_BY_LINE)

    def _indexed_with(self, local_parts: frozenset[str]) -> Iterator[ListEntry]:
        for offset, _ in self._index.text.lines_with(_needles(local_parts)):
            entry = self._read(offset)
            if entry is not None and local_part(entry) in local_parts:
                yield entry

    def __len__(self) -> int:
        return self._count + len(self._entries)

    def __iter__(self) -> Iterator[ListEntry]:
        return heapq.merge(self._entries, self._indexed(), key=_BY_LINE)

    def _indexed(self) -> Iterator[ListEntry]:
        """Yield the address and domain entries of the index that are not masked."""
        for start, end, line in self._edits.kept_ranges():
            for number, (_, raw) in enumerate(self._index.text.lines(start, end), start=line):
                entry = _indexed_entry(parse_or_error(parse_octets, raw, self._source, number))
                if entry is not None:
                    yield entry


def _needles(local_parts: frozenset[str]) -> tuple[bytes, ...]:
    """Return octets of which a line with such a local part contains at least one.

    The local part, quoted or not, or a backslash, which can hide any of its characters.
    """
    words = [local.encode() for local in sorted(local_parts)]
    return (*(word + end for word in words for end in (b"@", b'"@')), b"\\")


def _indexed_entry(item: ListEntry | LineError | None) -> ListEntry | None:
    """Return an address or domain entry, which has a word in the index; None for other items."""
    return item if isinstance(item, ListEntry) and item.kind is not EntryKind.PATTERN else None


class RemovedCounts(NamedTuple):
    """The number of masked address and domain entries, and of masked bad lines."""

    entries: int
    bad_lines: int


class Edits:
    """The changes between the text of an index and the current list, prepared for look-ups."""

    def __init__(self, index: Index, hunks: Sequence[Hunk]) -> None:
        self._index = index
        self._starts = [hunk.start for hunk in hunks]
        self._ends = [hunk.end for hunk in hunks]
        self._added = [list(read_lines(BytesIO(hunk.added))) for hunk in hunks]
        removed = [[raw for _, raw in index.text.lines(h.start, h.end)] for h in hunks]
        growth = (len(more) - len(less) for more, less in zip(self._added, removed, strict=True))
        # The number of lines by which the text after the n-th hunk has moved.
        self._shifts = [0, *accumulate(growth)]
        self.removed = _count(chain.from_iterable(removed))

    def masks(self, offset: int) -> bool:
        """Return whether the line at an offset of the index was removed."""
        hunk = bisect_right(self._starts, offset) - 1
        return hunk >= 0 and offset < self._ends[hunk]

    def shift(self, offset: int) -> int:
        """Return the number of lines by which the line at an offset of the index has moved."""
        return self._shifts[bisect_right(self._starts, offset)]

    def kept_ranges(self) -> Iterator[tuple[int, int, int]]:
        """Yield the remaining ranges of the text: start, end, and number of the first line."""
        starts = [0, *self._ends]
        for start, end in zip(starts, [*self._starts, self._index.text.size], strict=True):
            if start < end:
                yield start, end, self._index.line(start)[1] + self.shift(start)

    def added_items(self, source: str) -> Iterator[ListEntry | LineError]:
        """Yield the entries and errors of the added lines."""
        for start, shift, lines in zip(self._starts, self._shifts, self._added, strict=False):
            first = self._index.line(start)[1] + shift
            for number, raw in enumerate(with_pauses(lines), start=first):
                item = parse_or_error(parse_octets, raw, source, number)
                if item is not None:
                    yield item


def _count(lines: Iterable[bytes]) -> RemovedCounts:
    items = [parse_or_error(parse_octets, raw, "", 0) for raw in with_pauses(lines)]
    entries = sum(_indexed_entry(item) is not None for item in items)
    return RemovedCounts(entries, sum(isinstance(item, LineError) for item in items))
