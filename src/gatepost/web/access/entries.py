"""Files of the dashboard with an entry in each line, a JSON object with a name.

`gatepost web` writes them, and a running server uses a change at the next request.

Security: entries have hashes, so the files are for their owner only, and no error has any part of a
line. A file that cannot be read has no entries that anyone could use.
"""

import os
import pwd
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

from gatepost.disk.durable import ensure_private
from gatepost.disk.rewrite import locked, rewrite
from gatepost.log.os_error import describe_os_error

FOLDER = "web"
FILE_MODE = 0o600


class EntriesError(Exception):
    """The file cannot be used; the message names the file and the line."""


class Entry(Protocol):
    """A struct with a name."""

    @property
    def name(self) -> str:
        """The name, which no other entry of the file has."""
        ...


E = TypeVar("E", bound=Entry)


class EntriesFile(Generic[E]):
    """The file `name` in `web` of the data folder; `read` returns its current entries.

    `kind` is the struct of an entry, `about` how errors describe it.
    """

    def __init__(self, data: Path, name: str, kind: type[E], about: str) -> None:
        self.path = data / FOLDER / name
        self._decode = msgspec.json.Decoder(kind).decode
        self._about = about
        self._seen: tuple[int, int, int] | None = None
        self._entries: Mapping[str, E] = {}

    def read(self) -> Mapping[str, E]:
        """Return the entries by name; raises `EntriesError`."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise EntriesError(describe_os_error(error)) from error
        identity = (status.st_ino, status.st_mtime_ns, status.st_size)
        if identity != self._seen:
            self._entries = self._parse()
            self._seen = identity
        return self._entries

    def put(self, entry: E, owner: str = "") -> bool:
        """Add or replace an entry; return whether one was replaced.

        `owner` is the owner of new files, "" for the user that runs the command. Raises OSError and
        `EntriesError`.
        """
        self._make_folder(owner)
        with locked(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE) as file:
            give_to(owner, file.fileno())
            entries = dict(self._parse())
            replaced = entry.name in entries
            entries[entry.name] = entry
            rewrite(self.path, file, map(_line, entries.values()))
        return replaced

    def add_first(self, entry: E) -> bool:
        """Add the first entry; return False if there is one already. Raises as `put`."""
        self._make_folder("")
        with locked(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE) as file:
            if self._parse():
                return False
            rewrite(self.path, file, [_line(entry)])
        return True

    def remove(self, name: str) -> bool:
        """Remove an entry; return whether there was one. Raises OSError, `EntriesError`."""
        if not self.path.exists():
            return False
        with locked(self.path, os.O_RDWR | os.O_CLOEXEC) as file:
            entries = dict(self._parse())
            removed = entries.pop(name, None)
            if removed is not None:
                rewrite(self.path, file, map(_line, entries.values()))
        return removed is not None

    def _make_folder(self, owner: str) -> None:
        folder = self.path.parent
        new = [one for one in (folder, *folder.parents) if not one.exists()]
        ensure_private(folder)
        for one in new:
            give_to(owner, one)

    def _parse(self) -> Mapping[str, E]:
        try:
            lines = self.path.read_bytes().splitlines()
        except OSError as error:
            raise EntriesError(describe_os_error(error)) from error
        entries: dict[str, E] = {}
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                entry = self._decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                raise EntriesError(
                    f"{self.path}:{number}: expected {self._about}, as `gatepost web` writes it"
                ) from None
            entries[entry.name] = entry
        return entries


def _line(entry: Entry) -> bytes:
    return msgspec.json.encode(entry) + b"\n"


def give_to(owner: str, file: int | Path) -> None:
    """Change the owner of a file, if the user exists and this user may do so."""
    with suppress(KeyError, PermissionError):
        if owner:
            entry = pwd.getpwnam(owner)
            os.chown(file, entry.pw_uid, entry.pw_gid)
