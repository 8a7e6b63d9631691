"""Tables in files: a file that is read again when it changes, and its last good version.

The rules are those of lists (`gatepost.lists.reloadable`): a file that is missing, unreadable or
perhaps damaged leaves the previous version in force, and the log has a line.
"""

import asyncio
import os
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, BinaryIO, Generic, TypeVar

from gatepost.lists.reloadable import ListError, ReloadableFile
from gatepost.tables.spec import TableSpec
from gatepost.tables.table import Found, Table, TableError

V = TypeVar("V")


def read_ahead(file: BinaryIO) -> None:
    """Ask the system to read a whole file into its cache, so that look-ups need not wait for it."""
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


class FileTable(Table, Generic[V]):
    """A table in one file, `file`, which is not read yet."""

    is_local = True

    def __init__(self, spec: TableSpec, file: ReloadableFile[Any]) -> None:
        super().__init__(spec.name)
        self._file = file
        self.files = (file,)

    @abstractmethod
    def version_find(self, version: V, keys: Sequence[str]) -> Found:
        """Return the keys that a version has, with their values; raises `TableError`."""

    def find(self, keys: Sequence[str]) -> Found:
        """See `Table.find`."""
        if not self._file.is_loaded:
            self._load()
        return self.version_find(self._file.current, keys)

    def _load(self) -> None:
        try:
            self._file.load()
        except ListError as error:
            raise TableError(self.name, str(error)) from error

    async def start(self) -> None:
        """Read the file; raises `TableError`."""
        if not self._file.is_loaded:
            await asyncio.to_thread(self._load)

    async def stop(self) -> None:
        """Stop background work for the file."""
        await asyncio.to_thread(self._file.close)
