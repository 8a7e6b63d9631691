"""Look-ups of a few keys in lists and tables of any size, without a server.

A look-up streams through the files. Millions of lines take seconds and little memory, and the
server's index files are not touched.
"""

import asyncio
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from gatepost.config.schema import Config
from gatepost.lists.addresses import AddressList, ListSource
from gatepost.lists.entry import EntryKind, ListEntry, parse_octets, parse_or_error
from gatepost.lists.reloadable import open_regular_file
from gatepost.lists.text import read_lines
from gatepost.plugin.clock import SystemClock
from gatepost.tables.known import KnownTables, open_known_tables
from gatepost.tables.table import TableError
from gatepost.tables.tables import Tables


class KnownError(Exception):
    """The tables of `recipients.known` cannot be asked; `problems` has a sentence for each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def entries(file: BinaryIO, source: str) -> Iterator[ListEntry]:
    """Yield the entries of a file from its current position, and skip other lines."""
    for number, raw in enumerate(read_lines(file), start=1):
        item = parse_or_error(parse_octets, raw, source, number)
        if isinstance(item, ListEntry):
            yield item


def matching(path: Path, keys: Collection[str]) -> AddressList:
    """Return the patterns of a list, and the entries with one of these keys.

    Raises `ListError` and OSError.
    """
    with open_regular_file(path) as (file, _):
        return AddressList(
            entry
            for entry in entries(file, str(path))
            if entry.key in keys or entry.kind is EntryKind.PATTERN
        )


def known_recipients(config: Config, keys: Collection[str]) -> list[ListSource]:
    """Return the known recipients with one of these keys.

    Raises `ListError`, OSError and `KnownError`. Runs an event loop for tables.
    """
    inline, paths = config.known_sources
    sources: list[ListSource] = [AddressList.from_lines(inline, "recipients.known")]
    return [*sources, *(matching(path, keys) for path in paths), _in_tables(config, keys)]


def _in_tables(config: Config, keys: Collection[str]) -> AddressList:
    tables = Tables(config, SystemClock())
    known, problems = open_known_tables(config, tables)
    if problems:
        raise KnownError(*map(str, problems))
    try:
        found = asyncio.run(_select(tables, known, keys)) if known else set()
    except TableError as error:
        raise KnownError(str(error)) from error
    return AddressList.from_lines(found, "recipients.known")


async def _select(tables: Tables, known: KnownTables, keys: Collection[str]) -> Collection[str]:
    try:
        return await known.select(keys)
    finally:
        await tables.stop()
