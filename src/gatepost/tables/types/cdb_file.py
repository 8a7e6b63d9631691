"""`cdb:PATH`: a file in the format CDB, made by `postmap`, tinycdb or qmail.

Keys and values may end with NUL, as those of some versions of Postfix do: the first key of the file
decides.

Trust: the file may be wrong in every way. It is read and not mapped, because a file that another
program truncates would end the process. Then look-ups fail until there is a whole file.
"""

import os
from collections.abc import Sequence
from typing import BinaryIO

import cdbx

from gatepost.lists.entry import LineError
from gatepost.lists.reloadable import FileIdentity, ListError, ReloadableFile
from gatepost.tables.spec import TableSpec
from gatepost.tables.table import Found, TableError
from gatepost.tables.types.file_table import FileTable

# The octets at the start of a file: the places of its hash tables.
_HEADER = 2048


class Records:
    """One version of a file, an open CDB; raises OSError if it is none.

    `state` is different in another file, and after a change in the same one.
    """

    def __init__(self, descriptor: int, identity: FileIdentity) -> None:
        self.state = identity.device, identity.inode, os.pread(descriptor, _HEADER, 0)
        self.errors: list[LineError] = []
        self.bad_lines = 0
        self._cdb = cdbx.CDB(descriptor, close=True, mmap=False)
        self._count = len(self._cdb)
        self._end = b"\0" if next(iter(self._cdb), b"").endswith(b"\0") else b""

    def find(self, key: str) -> str | None:
        """Return the value of a key, None without one; raises OSError."""
        value: bytes | None = self._cdb.get(key.encode() + self._end)
        return None if value is None else value.removesuffix(b"\0").decode(errors="replace")

    def __len__(self) -> int:
        return self._count


class CdbFile(ReloadableFile[Records]):
    """A file in the format CDB; `current` is the last good version."""

    def _read(self, file: BinaryIO, identity: FileIdentity) -> Records | None:
        try:
            found = Records(os.dup(file.fileno()), identity)
        except OSError as error:
            raise ListError(f"{self.path}: expected a file in the format CDB: {error}") from error
        if self.is_loaded and found.state == self.current.state:
            return None
        if self.is_loaded and len(self.current) and not len(found):
            self._wait(f"found no entry, {len(self.current)} before")
        return found


class CdbTable(FileTable[Records]):
    """A file in the format CDB as a table."""

    def __init__(self, spec: TableSpec) -> None:
        super().__init__(spec, CdbFile(spec.base / spec.rest))

    def version_find(self, version: Records, keys: Sequence[str]) -> Found:
        """See `FileTable`."""
        try:
            found = ((key, version.find(key)) for key in keys)
            return {key: value for key, value in found if value is not None}
        except OSError as error:
            raise TableError(self.name, f"the file is damaged: {error}") from error
