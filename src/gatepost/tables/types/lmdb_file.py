"""`lmdb:PATH`: a database of LMDB, a file as `postmap` makes it or a folder.

Keys and values may end with NUL, as those of some versions of Postfix do: the first key of the
database decides. Each look-up uses the last committed state, so a change needs no reload; a file
that was replaced is opened again.

Locks: if there is a lock file of LMDB, it is used, which requires the right to write to it. Without
one, as in Postfix, a look-up takes a few microseconds, in which the writer would have to commit
twice to overwrite what is read.

Trust: the file is mapped. Replace it with `mv`, and never truncate it: that ends the process.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO
from weakref import WeakValueDictionary

import lmdb

from gatepost.lists.entry import LineError
from gatepost.lists.reloadable import FileIdentity, ListError, ReloadableFile
from gatepost.tables.spec import TableSpec
from gatepost.tables.table import Found, TableError
from gatepost.tables.types.file_table import FileTable, read_ahead

# LMDB allows one open environment for each file in a process. They close with the last reference.
_OPEN: WeakValueDictionary[tuple[int, int], lmdb.Environment] = WeakValueDictionary()
# The limit of the default build. A longer key cannot be in the database.
_MAX_KEY = 511


class Database:
    """An open database; raises lmdb.Error if it cannot be used.

    `state` is different in another database, and after a change in the same one.
    """

    def __init__(self, path: Path, identity: FileIdentity) -> None:
        self.errors: list[LineError] = []
        self.bad_lines = 0
        place = identity.device, identity.inode
        environment = _OPEN.get(place)
        if environment is None:
            environment = _OPEN[place] = _open(path)
        self._environment = environment
        with self._begin() as transaction, transaction.cursor() as cursor:
            self.state = *place, transaction.id()
            self._count: int = transaction.stat(environment.open_db())["entries"]
            self._end = b"\0" if cursor.first() and bytes(cursor.key()).endswith(b"\0") else b""

    def find(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the keys that the database has, with their values; raises lmdb.Error."""
        found = {}
        with self._begin() as transaction:
            for key in keys:
                octets = key.encode() + self._end
                value = transaction.get(octets) if 0 < len(octets) <= _MAX_KEY else None
                if value is not None:
                    found[key] = bytes(value).removesuffix(b"\0").decode(errors="replace")
        return found

    def _begin(self) -> lmdb.Transaction:
        try:
            return self._environment.begin()
        except lmdb.MapResizedError:  # another process has enlarged it
            self._environment.set_mapsize(0)
            return self._environment.begin()

    def __len__(self) -> int:
        return self._count


def _open(path: Path) -> lmdb.Environment:
    folder = path.is_dir()
    locks = path / "lock.mdb" if folder else Path(f"{path}-lock")
    return lmdb.open(str(path), subdir=folder, readonly=True, lock=locks.exists())


class LmdbFile(ReloadableFile[Database]):
    """A database; `current` is the one that was opened last."""

    def __init__(self, path: Path) -> None:
        super().__init__(path / "data.mdb" if path.is_dir() else path)
        self._place = path

    def _read(self, file: BinaryIO, identity: FileIdentity) -> Database | None:
        try:
            found = Database(self._place, identity)
        except lmdb.Error as error:
            raise ListError(f"{self.path}: expected a database of LMDB: {error}") from error
        if self.is_loaded and found.state == self.current.state:
            return None
        read_ahead(file)
        return found


class LmdbTable(FileTable[Database]):
    """A database of LMDB as a table."""

    def __init__(self, spec: TableSpec) -> None:
        super().__init__(spec, LmdbFile(spec.base / spec.rest))

    def version_find(self, version: Database, keys: Sequence[str]) -> Found:
        """See `FileTable`."""
        try:
            return version.find(keys)
        except lmdb.Error as error:
            raise TableError(self.name, str(error)) from error
