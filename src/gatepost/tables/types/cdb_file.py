"""`cdb:PATH`: a file in the format CDB, made by `postmap`, tinycdb or qmail.

Keys and values may end with NUL, as those of some versions of Postfix do: the first key of the file
decides.

Trust: the file may be wrong in every way. It is read and not mapped, because a file that another
program truncates would end the process. Then look-ups fail until there is a whole file.
"""

import os
import struct
from collections.abc import Sequence
from typing import BinaryIO

import cdbx

from gatepost.lists.entry import LineError
from gatepost.lists.reloadable import FileIdentity, ListError, ReloadableFile
from gatepost.tables.spec import TableSpec
from gatepost.tables.table import Found, TableError
from gatepost.tables.types.file_table import FileTable, read_ahead

# The octets at the start of a file: the place of each hash table, and its number of slots.
_HEADER = struct.Struct("<512I")
_SLOT = 8


class Records:
    """One version of a file, an open CDB; raises OSError if it is none.

    `state` is different in another file, and after a change in the same one.
    """

    def __init__(self, file: BinaryIO, identity: FileIdentity) -> None:
        header = os.pread(file.fileno(), _HEADER.size, 0)
        self.state = identity.device, identity.inode, header
        self.errors: list[LineError] = []
        self.bad_lines = 0
        self._count = _count(header, identity.size)
        self._cdb = cdbx.CDB(os.dup(file.fileno()), close=True, mmap=False)
        self._end = b"\0" if next(iter(self._cdb), b"").endswith(b"\0") else b""

    def find(self, key: str) -> str | None:
        """Return the value of a key, None without one; raises OSError."""
        value: bytes | None = self._cdb.get(key.encode() + self._end)
        return None if value is None else value.removesuffix(b"\0").decode(errors="replace")

    def __len__(self) -> int:
        return self._count


def _count(header: bytes, size: int) -> int:
    """Return the number of records; raises OSError unless all tables are inside of the file.

    A table has two slots for each record. To count the keys would take seconds.
    """
    if len(header) < _HEADER.size:
        raise OSError("it is too short")
    places: tuple[int, ...] = _HEADER.unpack(header)
    if any(at + slots * _SLOT > size for at, slots in zip(places[::2], places[1::2], strict=True)):
        raise OSError("it was cut off")
    return sum(places[1::2]) // 2


class CdbFile(ReloadableFile[Records]):
    """A file in the format CDB; `current` is the last good version."""

    def _read(self, file: BinaryIO, identity: FileIdentity) -> Records | None:
        try:
            found = Records(file, identity)
        except OSError as error:
            raise ListError(f"{self.path}: expected a file in the format CDB: {error}") from error
        if self.is_loaded and found.state == self.current.state:
            return None
        read_ahead(file)
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
