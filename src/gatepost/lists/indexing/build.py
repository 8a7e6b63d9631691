"""Build the index of a big list: `python -m gatepost.lists.indexing.build LIST INDEX`.

A separate process at low priority builds the index, so that the event loop and the memory of the
worker are not affected. The index is written to a temporary file, synced and renamed, so it is
always complete. If several workers need the same index, a lock makes them wait; the second one
finds it already built.

The words are sorted in 256 parts by their first octet. Sorting all at once would need a quarter of
a gigabyte of Python integers for the largest public list.

Limits: `index.MAX_TEXT`. MAX_SPECIALS of the patterns and of the bad lines are kept.
"""

import fcntl
import os
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

from gatepost.disk.durable import ensure_private
from gatepost.lists.addresses import MAX_ERRORS
from gatepost.lists.entry import EntryKind, LineError, ListEntry, parse_octets, parse_or_error
from gatepost.lists.indexing.index import (
    FAN_OUT,
    LINE_COUNT_EVERY,
    MAX_TEXT,
    TABLE_ALIGNMENT,
    TEXT_START,
    Header,
    Index,
    IndexFileError,
    hash_key,
)
from gatepost.lists.indexing.pieces import Run, count_lines, pieces
from gatepost.lists.patterns import MAX_PATTERNS
from gatepost.lists.reloadable import FileIdentity, ListError, is_stable, open_regular_file
from gatepost.lists.text import BLOCK, Text

# One more than a list keeps, so that the list can detect the excess.
MAX_SPECIALS = {EntryKind.PATTERN: MAX_PATTERNS + 1, None: MAX_ERRORS}

# A longer list without a valid entry gets no index, which would only take disk space.
MAX_USELESS = 1024 * 1024

_PARTS = 256


def build(source: Path, target: Path) -> None:
    """Write the index of the list `source` to `target`.

    Raises `ListError` if the list is unreadable, OSError if the index cannot be written.
    """
    with _lock(target), open_regular_file(source) as (file, identity):
        if identity.size > MAX_TEXT:
            raise ListError(f"{source}: expected less than 4 GiB, found {identity.size} octets")
        if not is_current(target, identity):
            # A later write within the same clock tick would not change an unstable identity.
            _write(
                target, file, identity if is_stable(identity) else identity._replace(modified_ns=0)
            )


def is_current(target: Path, identity: FileIdentity) -> bool:
    """Return whether `target` is a usable index of exactly this state of the list."""
    try:
        return Index(target).header.identity == identity
    except (OSError, IndexFileError):
        return False


@contextmanager
def _lock(target: Path) -> Iterator[None]:
    ensure_private(target.parent)
    descriptor = os.open(target.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(target: Path, file: BinaryIO, identity: FileIdentity) -> None:
    temporary = target.with_suffix(".new")
    try:
        with _create(temporary) as out:
            out.seek(TEXT_START)
            size = _copy(file, out, identity.size)
            out.flush()
            tables = IndexTables(Text(os.dup(out.fileno()), TEXT_START, size))
            if size > MAX_USELESS and not tables.has_entries:
                raise ListError(f"{target}: not built, because the list has no valid entry")
            header = tables.write(out, identity)
            out.seek(0)
            out.write(header.pack())
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _create(path: Path) -> BinaryIO:
    flags = os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "w+b")


def _copy(file: BinaryIO, out: BinaryIO, size: int) -> int:
    """Copy at most `size` octets and return the number of octets copied."""
    copied = 0
    while block := file.read(min(BLOCK, size - copied)):
        out.write(block)
        copied += len(block)
    return copied


class IndexTables:
    """The tables of an index, collected from the pieces of a text."""

    def __init__(self, text: Text) -> None:
        self._text_size = text.size
        self._parts = [array("Q") for _ in range(_PARTS)]
        self._append = [part.append for part in self._parts]
        self._line_counts = count_lines(text, LINE_COUNT_EVERY)
        self._specials = array("I")
        self._specials_left = dict(MAX_SPECIALS)
        self._domains = self._bad_lines = 0
        for piece in pieces(text):
            if isinstance(piece, Run):
                self._add_run(piece)
            else:
                self._add(piece.offset, parse_or_error(parse_octets, piece.raw, "", 0))

    def _add_run(self, run: Run) -> None:
        append = self._append
        offsets = accumulate(run.lengths, initial=run.offset)
        for hashed, offset in zip(map(crc32, run.keys), offsets, strict=False):
            append[hashed >> 24](hashed << 32 | offset)

    def _add(self, offset: int, item: ListEntry | LineError | None) -> None:
        if item is None:
            return
        if isinstance(item, LineError):
            self._bad_lines += 1
            self._add_special(offset, None)
        elif item.kind is EntryKind.PATTERN:
            self._add_special(offset, EntryKind.PATTERN)
        else:
            self._domains += item.kind is EntryKind.DOMAIN
            hashed = hash_key(item.key)
            self._append[hashed >> 24](hashed << 32 | offset)

    def _add_special(self, offset: int, kind: EntryKind | None) -> None:
        if self._specials_left[kind]:
            self._specials_left[kind] -= 1
            self._specials.append(offset)

    @property
    def has_entries(self) -> bool:
        """Return whether the list has an entry of any kind."""
        has_pattern = self._specials_left[EntryKind.PATTERN] < MAX_SPECIALS[EntryKind.PATTERN]
        return has_pattern or any(self._parts)

    def write(self, out: BinaryIO, identity: FileIdentity) -> Header:
        """Write the tables after the text; return the header that describes them."""
        header = self._header(identity)
        out.seek(header.tables_start)
        fan_out = array("I", [0])
        for number, part in enumerate(self._parts):
            words = array("Q", sorted(part))
            words.tofile(out)
            before = fan_out[-1]
            fan_out.extend(before + bisect_left(words, end) for end in _ends_of_buckets(number))
        fan_out.tofile(out)
        self._line_counts.tofile(out)
        self._specials.tofile(out)
        return header

    def _header(self, identity: FileIdentity) -> Header:
        end = TEXT_START + self._text_size
        return Header(
            *identity,
            text_size=self._text_size,
            tables_start=-(-end // TABLE_ALIGNMENT) * TABLE_ALIGNMENT,
            words=sum(map(len, self._parts)),
            line_counts=len(self._line_counts),
            specials=len(self._specials),
            domains=self._domains,
            bad_lines=self._bad_lines,
        )


def _ends_of_buckets(part: int) -> Iterable[int]:
    """Return the first word after each bucket of the fan-out in a part."""
    buckets = FAN_OUT // _PARTS
    return (bucket << 48 for bucket in range(part * buckets + 1, (part + 1) * buckets + 1))


def main(arguments: list[str]) -> int:
    """Build an index; return the exit status."""
    source, target = map(Path, arguments)
    with suppress(OSError):
        os.nice(10)
    try:
        build(source, target)
    except (ListError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
