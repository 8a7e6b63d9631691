"""Tables in text files: logical lines, each with a key and a value.

A line that starts with white space continues the line before it. Blank lines, and lines whose first
character after white space is `#`, are ignored, also between a line and its continuation. A key is
compared without regard to letter case.

Trusts nothing: a line that is not valid is skipped and reported. Limits: MAX_LINE octets for a
physical line, INDEX_ABOVE for a file, which is in the memory of each worker; MAX_ERRORS of the bad
lines are kept, the rest are only counted.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import BinaryIO

from gatepost.lists.addresses import MAX_ERRORS
from gatepost.lists.entry import LineError, decode_line, parse_each
from gatepost.lists.file import MemoryFile
from gatepost.lists.text import read_lines, with_pauses
from gatepost.model.address import Address, AddressError, domain_key
from gatepost.tables.spec import TableSpec
from gatepost.tables.table import Found
from gatepost.tables.types.file_table import FileTable

Row = tuple[str, str]
# Parses a logical line; raises ValueError with what was expected.
Parser = Callable[[str], Row | None]


class Rows:
    """One version of a table; if several lines have the same key, the first one counts."""

    def __init__(self, items: Iterable[Row | LineError] = ()) -> None:
        self.errors: list[LineError] = []
        self.bad_lines = 0
        self.values: dict[str, str] = {}
        for item in items:
            if isinstance(item, LineError):
                self.bad_lines += 1
                if len(self.errors) < MAX_ERRORS:
                    self.errors.append(item)
            else:
                self.values.setdefault(*item)

    def __len__(self) -> int:
        return len(self.values)


class TextTable(FileTable[Rows]):
    """A table in a text file; `parse` reads a logical line."""

    def __init__(self, spec: TableSpec, parse: Parser) -> None:
        file = MemoryFile[Rows](spec.base / spec.rest, partial(read_rows, parse))
        file.current = Rows()
        super().__init__(spec, file)

    def version_find(self, version: Rows, keys: Sequence[str]) -> Found:
        """See `FileTable`."""
        values = version.values
        return {key: values[key] for key in keys if key in values}


class LocalTable(TextTable):
    """A table whose keys are local parts: the domain of an address that is looked up is ignored."""

    by_local_part = True

    def version_find(self, version: Rows, keys: Sequence[str]) -> Found:
        """See `FileTable`."""
        found = ((key, self.local_find(version, _local_part(key))) for key in keys)
        return {key: value for key, value in found if value is not None}

    def local_find(self, version: Rows, local: str) -> str | None:
        """Return the value of a local part, None without one."""
        return version.values.get(local)


def _local_part(key: str) -> str:
    return key.rpartition("@")[0] if "@" in key else key


def read_rows(parse: Parser, file: BinaryIO, source: str) -> Rows:
    """Read the rows of a file, and the errors of its lines."""
    return Rows(with_pauses(_rows(file, source, parse)))


def _rows(file: BinaryIO, source: str, parse: Parser) -> Iterator[Row | LineError]:
    for item in logical_lines(file, source):
        if isinstance(item, LineError):
            yield item
            continue
        line, text = item
        try:
            row = parse(text)
        except ValueError as error:
            yield LineError(source, line, str(error), text)
        else:
            if row is not None:
                yield canonical(row[0]), row[1]


def logical_lines(file: BinaryIO, source: str) -> Iterator[tuple[int, str] | LineError]:
    """Yield the number of the first line and the text of each logical line, or an error."""
    first, parts = 0, [""]
    for item in parse_each(_numbered, read_lines(file), source):
        if isinstance(item, LineError):
            yield item
            continue
        line, text = item
        if text[0] in " \t":
            if not first:
                expected = "a key at the start of the first line"
                yield LineError(source, line, expected, text.strip())
                continue
            parts.append(text)
            continue
        if first:
            yield first, "".join(parts)
        first, parts = line, [text]
    if first:
        yield first, "".join(parts)


def _numbered(raw: bytes, source: str, line: int) -> tuple[int, str] | None:
    """Return a line with its number, None for a comment or a blank line."""
    text = decode_line(raw, source, line).rstrip()
    return (line, text) if text and text.lstrip()[0] != "#" else None


def canonical(key: str) -> str:
    """Return a key in the spelling of the core: in lower case, and an address as `Address.key`."""
    if key.isascii():
        return key.lower()
    try:
        return f"@{domain_key(key[1:])}" if key[0] == "@" else Address.parse(key).key
    except AddressError:
        return key.lower()
