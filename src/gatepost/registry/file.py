"""The registry of a machine: a list file in the data folder that every worker follows.

All workers and commands append to it. A change is locked, written at once and synced; the other
processes see it within a second. Look-ups are those of `gatepost.lists`: a large registry has an
index that the workers share.

Limits: the last line of an address is searched from the end of the file in pieces of PIECE octets.
A registry of 5 million lines takes half a second, in a thread.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from gatepost.disk.durable import ensure_private
from gatepost.disk.rewrite import append_line, locked, own_as_folder, sync_entry
from gatepost.lists.addresses import AddressList
from gatepost.lists.entry import ListEntry, parse_octets, parse_or_error
from gatepost.lists.file import ListFile
from gatepost.lists.reloadable import open_regular_file
from gatepost.lists.text import read_lines
from gatepost.log.logger import get_logger
from gatepost.log.os_error import describe_os_error
from gatepost.registry.registry import SERVER, Edit, Registry, UnchangedError
from gatepost.registry.trap import RegisteredTrap, key_of, written
from gatepost.traps.notes import TrapState

# The name of the file in the data folder.
NAME = "registry"
PIECE = 1024 * 1024
# Traps that are remembered as retired by this process, so that each is written once.
MOST_RETIRED = 10_000

_log = get_logger("gatepost.registry")


class RegistryList(ListFile):
    """The file as a list; without the file it is empty."""

    is_optional = True


class FileRegistry(Registry):
    """The registry in the data folder `folder`; `list` is its file, which the owner watches."""

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        self.path = path.resolve() if path.is_symlink() else path
        self.list = RegistryList(self.path, folder / "cache")
        self.files = (self.list,)
        self._retired: set[str] = set()
        self._thread: ThreadPoolExecutor | None = None

    @property
    def current(self) -> AddressList:
        """See `Registry.current`; another process's change is seen within a second."""
        return self.list.current

    def change(self, entry: str, edit: Edit) -> RegisteredTrap:
        """See `Registry.change`."""
        ensure_private(self.path.parent)
        with locked(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640) as file:
            own_as_folder(file, self.path.parent)
            trap = edit(next(_states_from_end(file, entry), None))
            append_line(file, trap.line().encode())
        sync_entry(self.path)
        return trap

    def history(self, entry: str) -> list[RegisteredTrap]:
        """See `Registry.history`."""
        if not self.path.exists():
            return []
        with open_regular_file(self.path) as (file, _):
            return list(_states_from_end(file, entry))[::-1]

    def retire_later(self, text: str, reason: str) -> None:
        """See `Registry.retire_later`; each trap once in a process."""
        if text in self._retired or len(self._retired) >= MOST_RETIRED:
            return
        self._retired.add(text)
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "gatepost-registry")
        self._thread.submit(self._retire, text, reason)

    def _retire(self, text: str, reason: str) -> None:
        try:
            self.set_state(key_of(text), TrapState.RETIRED, SERVER, reason)
            _log.warning("trap retired", trap=text, reason=reason)
        except UnchangedError:
            pass  # another worker was faster
        except (OSError, ValueError) as error:
            problem = describe_os_error(error) if isinstance(error, OSError) else str(error)
            _log.error("trap not retired", trap=text, problem=problem)

    def close(self) -> None:
        """Wait for changes in the background."""
        if self._thread is not None:
            self._thread.shutdown()


def _states_from_end(file: BinaryIO, entry: str) -> Iterator[RegisteredTrap]:
    """Yield the states of a trap, the newest first."""
    needle = b"\n" + written(entry).encode() + b" "
    for offset in _found_from_end(file, needle):
        file.seek(offset)
        raw = next(iter(read_lines(file)), b"")
        item = parse_or_error(parse_octets, raw, "", 0)
        trap = RegisteredTrap.of(item) if isinstance(item, ListEntry) else None
        if trap is not None and trap.entry == entry:
            yield trap


def _found_from_end(file: BinaryIO, needle: bytes) -> Iterator[int]:
    """Yield the offsets after the first octet of each occurrence, the last first."""
    descriptor, start = file.fileno(), os.fstat(file.fileno()).st_size
    after = b""
    while start > 0:
        size = min(PIECE, start)
        start -= size
        piece = os.pread(descriptor, size, start) + after
        at = len(piece)
        while (at := piece.rfind(needle, 0, at + len(needle) - 1)) >= 0:
            yield start + at + 1
        after = piece[: len(needle) - 1]
    if after.startswith(needle[1:]):  # the first line has no line end before it
        yield 0
