"""`file:PATH`: a list file of this project; the value of a key is the note of its entry.

An address is found by its own entry, that of its domain (`@example.com`) or a regular expression.
"""

import asyncio
from collections.abc import Sequence

from gatepost.lists.entry import ListEntry
from gatepost.lists.file import ListFile
from gatepost.lists.reloadable import ListError
from gatepost.tables.spec import TableSpec
from gatepost.tables.table import Found, Table, TableError


class ListTable(Table):
    """A list file as a table."""

    is_local = True

    def __init__(self, spec: TableSpec) -> None:
        super().__init__(spec.name)
        self._file = ListFile(spec.base / spec.rest, spec.cache_dir)
        self.files = (self._file,)

    def find(self, keys: Sequence[str]) -> Found:
        """See `Table.find`."""
        if not self._file.is_loaded:
            self._load()
        found = ((key, self._entry(key)) for key in keys)
        return {key: entry.note for key, entry in found if entry is not None}

    def _entry(self, key: str) -> ListEntry | None:
        current = self._file.current
        return current.exact(key) if key[:1] == "@" else current.find(key, key)

    def _load(self) -> None:
        try:
            self._file.load()
        except ListError as error:
            raise TableError(self.name, str(error)) from error

    async def start(self) -> None:
        """Read the file; raises `TableError`."""
        if not self._file.is_loaded:
            await asyncio.to_thread(self._load)
