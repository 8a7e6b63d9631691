"""One version of a big list: an index, and what changed since it was built laid over it.

What the change took out of the text is masked by its offsets, what it put in is held in memory
like a small list, and so are the patterns and bad lines of the index. Line numbers are those of
the list as it is now. Where a line that was put in and one of the index name the same address, the
one put in answers.

Immutable, as every list. Trusts the index (`index` says what it checks).
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from io import BytesIO
from itertools import accumulate, chain
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from gatepost.lists.addresses import AddressList, local_part
from gatepost.lists.entry import EntryKind, LineError, ListEntry, parse_octets, parse_or_error
from gatepost.lists.lines import read_lines, with_pauses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gatepost.lists.difference import Hunk
    from gatepost.lists.index import Index

_BY_LINE = attrgetter("line")


class IndexedList(AddressList):
    """A list that is looked up through an index; as `AddressList` in every other way."""

    def __init__(self, index: Index, hunks: Sequence[Hunk], source: str) -> None:
        self._index = index
        self._source = source
        self._edits = Edits(index, hunks)
        added = self._edits.added_items(source)
        super().__init__(sorted(chain(self._specials(), added), key=_BY_LINE))
        removed = self._edits.removed
        self._count = index.header.words - removed.names
        self._domains = self._domains or index.header.domains > 0
        self._beyond_names = self._domains or bool(self._patterns)
        self.bad_lines += max(0, index.header.bad_lines - removed.bad_lines - self._kept_bad)

    def _specials(self) -> Iterable[ListEntry | LineError]:
        items = [
            item
            for offset in self._index.specials
            if not self._edits.masks(offset) and (item := self._item(offset))
        ]
        self._kept_bad = sum(isinstance(item, LineError) for item in items)
        return items

    def find(self, key: str, user_key: str) -> ListEntry | None:
        """Return the entry that names an address, or None; as `AddressList.find`."""
        entry = self.exact(key)
        if entry is None and user_key != key:
            entry = self.exact(user_key)
        if entry is None and self._beyond_names:
            entry = self._find_beyond_names(key, user_key)
        return entry

    def exact(self, key: str) -> ListEntry | None:
        """Return the entry whose own key is `key`: an address, or `@` and a domain."""
        entry = self._named.get(key)
        if entry is None:
            for offset in self._index.candidates(key):
                entry = self._read(offset)
                if entry is not None and entry.key == key:
                    return entry
            return None
        return entry

    def _read(self, offset: int) -> ListEntry | None:
        """Return the address or domain entry at an offset of the index, if it is still there."""
        if self._edits.masks(offset):
            return None
        return _name(self._item(offset))

    def _item(self, offset: int) -> ListEntry | LineError | None:
        raw, number = self._index.line(offset)
        return parse_or_error(parse_octets, raw, self._source, number + self._edits.shift(offset))

    def with_local_part(self, locals_: frozenset[str]) -> Iterator[ListEntry]:
        """Yield the entries for an address whose local part, in lower case, is one of these."""
        kept = (entry for entry in self._entries if local_part(entry) in locals_)
        return heapq.merge(kept, self._indexed_with(locals_), key=_BY_LINE)

    def _indexed_with(self, locals_: frozenset[str]) -> Iterator[ListEntry]:
        for offset, _ in self._index.text.lines_with(_needles(locals_)):
            entry = self._read(offset)
            if entry is not None and local_part(entry) in locals_:
                yield entry

    def __len__(self) -> int:
        return self._count + len(self._entries)

    def __iter__(self) -> Iterator[ListEntry]:
        return heapq.merge(self._entries, self._indexed(), key=_BY_LINE)

    def _indexed(self) -> Iterator[ListEntry]:
        """Yield the names of the index that are still in the list."""
        for start, end, line in self._edits.kept_ranges():
            for number, (_, raw) in enumerate(self._index.text.lines(start, end), start=line):
                entry = _name(parse_or_error(parse_octets, raw, self._source, number))
                if entry is not None:
                    yield entry


def _needles(locals_: frozenset[str]) -> tuple[bytes, ...]:
    """Return what a line that names such a local part holds: it, quoted or not, or a backslash."""
    words = [local.encode() for local in sorted(locals_)]
    return (*(word + end for word in words for end in (b"@", b'"@')), b"\\")


def _name(item: ListEntry | LineError | None) -> ListEntry | None:
    """Return an item that the index's words lead to, None for any other."""
    return item if isinstance(item, ListEntry) and item.kind is not EntryKind.PATTERN else None


class RemovedCounts(NamedTuple):
    """How many names and bad lines of the index are masked."""

    names: int
    bad_lines: int


class Edits:
    """The hunks between the text of an index and the list as it is now, as look-ups need them."""

    def __init__(self, index: Index, hunks: Sequence[Hunk]) -> None:
        self._index = index
        self._starts = [hunk.start for hunk in hunks]
        self._ends = [hunk.end for hunk in hunks]
        self._added = [list(read_lines(BytesIO(hunk.added))) for hunk in hunks]
        gone = [[raw for _, raw in index.text.lines(h.start, h.end)] for h in hunks]
        growth = (len(more) - len(less) for more, less in zip(self._added, gone, strict=True))
        # By how many lines whatever follows the n-th hunk has moved.
        self._shifts = [0, *accumulate(growth)]
        self.removed = _count(chain.from_iterable(gone))

    def masks(self, offset: int) -> bool:
        """Whether the line at an offset of the index is in the list no more."""
        hunk = bisect_right(self._starts, offset) - 1
        return hunk >= 0 and offset < self._ends[hunk]

    def shift(self, offset: int) -> int:
        """Return by how many lines the line at an offset of the index has moved."""
        return self._shifts[bisect_right(self._starts, offset)]

    def kept_ranges(self) -> Iterator[tuple[int, int, int]]:
        """Yield what is left of the text: from where, to where, and the first line's number."""
        starts = [0, *self._ends]
        for start, end in zip(starts, [*self._starts, self._index.text.size], strict=True):
            if start < end:
                yield start, end, self._index.line(start)[1] + self.shift(start)

    def added_items(self, source: str) -> Iterator[ListEntry | LineError]:
        """Yield what the lines put in say."""
        for start, shift, lines in zip(self._starts, self._shifts, self._added, strict=False):
            first = self._index.line(start)[1] + shift
            for number, raw in enumerate(with_pauses(lines), start=first):
                item = parse_or_error(parse_octets, raw, source, number)
                if item is not None:
                    yield item


def _count(lines: Iterable[bytes]) -> RemovedCounts:
    items = [parse_or_error(parse_octets, raw, "", 0) for raw in with_pauses(lines)]
    names = sum(_name(item) is not None for item in items)
    return RemovedCounts(names, sum(isinstance(item, LineError) for item in items))
