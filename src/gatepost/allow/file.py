"""The entries of a machine: the file `allowed` in the data folder, which every worker follows.

A line is an entry, or a change that is not in the ledger yet, as a JSON object. Commands and the
dashboard write the file; a running server uses a change within a second. One of its workers takes
the changes out of the file to record them, and removes entries that have ended.

Security: the file is for the server and root only, as notes can name persons. A bad line is
reported and has no effect.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from gatepost.allow.entries import MOST, AllowList
from gatepost.allow.entry import Change, Entry, Kind
from gatepost.allow.subject import SubjectError
from gatepost.disk.durable import ensure_private
from gatepost.disk.rewrite import locked, own_as_folder, rewrite
from gatepost.lists.entry import LineError, decode_line, parse_each
from gatepost.lists.file import MemoryFile
from gatepost.lists.reloadable import EMPTY_ON_PURPOSE, FileChange, ListError, open_regular_file
from gatepost.lists.text import read_lines
from gatepost.log.os_error import describe_os_error

# The name of the file in the data folder.
NAME = "allowed"
# The author of changes that the server makes itself.
SERVER = "gatepost"

_MODE = 0o640
_EXPECTED = "an entry, as `gatepost allow` writes it"
_decode = msgspec.json.Decoder(Entry | Change).decode
Edit = Callable[[dict[str, Entry]], list[Change]]


class AllowError(Exception):
    """The entries cannot be read or changed; the message has the reason."""


class AllowFile(MemoryFile[AllowList]):
    """The file in the data folder; `current` has its entries. Without the file there are none.

    `time` returns the seconds since 1970. `report` is called with each change that is taken out of
    the file, by the thread that refreshes it; without it, changes stay in the file.
    """

    is_optional = True
    time: Callable[[], float] = staticmethod(time.time)
    report: Callable[[Change], None] | None = None

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / NAME, _parse)
        self.current = AllowList()

    def refresh(self) -> FileChange | None:
        """Read the file again if it has changed; take changes and ended entries out of it."""
        change = super().refresh()
        if self.report is None or not self._is_to_settle():
            return change
        try:
            self._settle(self.report)
        except (AllowError, OSError) as error:
            problem = describe_os_error(error) if isinstance(error, OSError) else str(error)
            return self._fail(f"{self.path}: {problem}")
        return super().refresh() or change

    def _is_to_settle(self) -> bool:
        found = self.current
        has_ended = 0 < found.first_end <= self.time()
        return has_ended or bool(found.changes)

    def _settle(self, report: Callable[[Change], None]) -> None:
        """Take changes and ended entries out of the file; another worker may have been faster."""
        now = self.time()
        with locked(self.path, os.O_RDWR | os.O_CLOEXEC) as file:
            found = _parsed(file, self.path)
            ended = [one for one in found.entries.values() if one.until <= now]
            changes = [*found.changes, *(Change("expired", one, SERVER, now) for one in ended)]
            if not changes:
                return
            rest = [one for one in found.entries.values() if one.until > now]
            _write(self.path, file, rest, [])
        for one in changes:
            report(one)


def read_entries(folder: Path, now: float) -> list[Entry]:
    """Return the entries in force in the data folder; raises `AllowError`."""
    path = folder / NAME
    if not path.exists():
        return []
    try:
        with open_regular_file(path) as (file, _):
            found = _parsed(file, path)
    except ListError as error:
        raise AllowError(str(error)) from error
    return [one for one in found.entries.values() if one.until > now]


def put(folder: Path, entry: Entry, *, pending: bool) -> Entry | None:
    """Add an entry, or replace that of the same subject; return the replaced one.

    With `pending` the server records the change. Raises `AllowError` and OSError.
    """
    old: list[Entry] = []

    def edit(entries: dict[str, Entry]) -> list[Change]:
        before = entries.pop(entry.what, None)
        old.extend([] if before is None else [before])
        if len(entries) >= MOST:
            raise AllowError(f"there are {MOST} entries: remove one first")
        entries[entry.what] = entry
        kind: Kind = "added" if before is None else "changed"
        return [Change(kind, entry, entry.by, entry.at)] if pending else []

    _change(folder, edit, entry.at)
    return old[0] if old else None


def remove(folder: Path, what: str, *, by: str, now: float, pending: bool) -> Entry | None:
    """Remove the entry of a subject; return it, None without one. Raises as `put`."""
    removed: list[Entry] = []

    def edit(entries: dict[str, Entry]) -> list[Change]:
        found = entries.pop(what, None)
        if found is None:
            return []
        removed.append(found)
        return [Change("removed", found, by, now)] if pending else []

    if (folder / NAME).exists():
        _change(folder, edit, now)
    return removed[0] if removed else None


def _change(folder: Path, edit: Edit, now: float) -> None:
    """Change the entries in force; those that have ended stay for the server to record."""
    ensure_private(folder)
    path = folder / NAME
    with locked(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE) as file:
        own_as_folder(file, folder)
        found = _parsed(file, path)
        ended = {name: one for name, one in found.entries.items() if one.until <= now}
        entries = {name: one for name, one in found.entries.items() if name not in ended}
        changes = edit(entries)
        rest = [one for name, one in ended.items() if name not in entries]
        _write(path, file, [*rest, *entries.values()], [*found.changes, *changes])


def _write(path: Path, file: BinaryIO, entries: Iterable[Entry], changes: list[Change]) -> None:
    kept = [*entries]
    first = [] if kept else [EMPTY_ON_PURPOSE + b"\n"]
    rewrite(path, file, [*first, *(msgspec.json.encode(one) + b"\n" for one in (*kept, *changes))])


def _parsed(file: BinaryIO, path: Path) -> AllowList:
    """Return the content of a file; raises `AllowError` for a bad line, which would be lost."""
    file.seek(0)
    found = _parse(file, str(path))
    for error in found.errors:
        raise AllowError(str(error))
    return found


def _parse(file: BinaryIO, source: str) -> AllowList:
    return AllowList(_items(file, source))


def _items(file: BinaryIO, source: str) -> Iterator[Entry | Change | LineError]:
    return parse_each(_item, read_lines(file), source)


def _item(raw: bytes, source: str, line: int) -> Entry | Change | None:
    text = decode_line(raw, source, line).strip()
    if not text or text.startswith("#"):
        return None
    try:
        found: Entry | Change = _decode(text)
        if isinstance(found, Entry) and str(found.subject) != found.what:
            raise LineError(source, line, _EXPECTED, text)
    except (msgspec.MsgspecError, SubjectError):
        raise LineError(source, line, _EXPECTED, text) from None
    return found
