"""A small file system of its own, for tests of what becomes of data: its power fails, it is full.

    with disk.mounted(folder, mib=64) as own:
        ...                # write below own.root
        own.cut()          # what is not synced is gone; whoever still writes there gets EIO
        ...                # end every process that has files there
        own.again()        # as after a start of the machine: the journal is replayed

        with own.full():   # there is no room meanwhile
            ...

Theory of operation: an image in a file, on a loop device, with an ext4 on it. A cut is ext4's own
`EXT4_IOC_SHUTDOWN` without a flush of the log: the journal ends where it has been synced, and
nothing that is only in memory comes to the disk any more. The mount options are those of the least
courtesy: little is written that nobody asked for, so that a sync that is missing shows.

Limits: root only, with loop devices and the mkfs of Debian's e2fsprogs (`UnavailableError`). What
the loop device was given and not told to flush is in this machine's memory and survives a cut, on
a disk with a cache of its own it would not: here ext4 is trusted, not put to the test. A process
that is killed with SIGKILL while it has a disk leaves it mounted.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import subprocess
import time
from typing import TYPE_CHECKING

from tools import peers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# linux/ext4.h: _IOR('X', 125, __u32), and its argument: go down without a flush of the log.
_SHUTDOWN = (2 << 30) | (4 << 16) | (ord("X") << 8) | 125
_NO_LOG_FLUSH = struct.pack("I", 2)
_OPTIONS = "commit=300,noauto_da_alloc"
# How long a process that was killed may take to let go of its files, in seconds.
_LET_GO = 20.0
_POLL = 0.02
_PIECES = (1 << 20, 4096, 1)


class Disk:
    """A file system on `device`, mounted at `root`."""

    def __init__(self, device: str, root: Path) -> None:
        self.device = device
        self.root = root

    def mount(self) -> None:
        """Mount it; raises `UnavailableError` where that cannot be."""
        _run("mount", "-t", "ext4", "-o", _OPTIONS, self.device, str(self.root))

    def unmount(self) -> None:
        """Unmount it, once nobody has files there; raises `UnavailableError` if somebody stays."""
        deadline = time.monotonic() + _LET_GO
        while True:
            try:
                _run("umount", str(self.root))
            except peers.UnavailableError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL)
            else:
                return

    def cut(self) -> None:
        """Have its power fail: what is not synced is gone, all I/O is an error until `again`."""
        folder = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(folder, _SHUTDOWN, _NO_LOG_FLUSH)
        finally:
            os.close(folder)

    def again(self) -> None:
        """Mount it anew, as a machine that starts does, and have it checked.

        Every process that has files there must have been ended. Raises `UnavailableError`, also
        if the file system is not whole once its journal has been replayed.
        """
        self.unmount()
        self.mount()
        self.unmount()
        _run("fsck.ext4", "-f", "-n", self.device)
        self.mount()

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Leave no room on it for as long as this lasts."""
        filling = self.root / "filling"
        with filling.open("wb", buffering=0) as file:
            while _write_until_full(file.fileno()):
                os.fsync(file.fileno())
        try:
            yield
        finally:
            filling.unlink()
            self._sync()

    def _sync(self) -> None:
        """Have the room of what was removed be room for others."""
        folder = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def mounted(folder: Path, mib: int) -> Iterator[Disk]:
    """Make a file system of so many MiB and mount it on `folder`, made if need be, until the end.

    Raises `peers.UnavailableError` with the reason where that cannot be.
    """
    if os.geteuid():
        raise peers.UnavailableError("only root can mount a disk")
    folder.mkdir(parents=True, exist_ok=True)
    image = folder.with_name(f"{folder.name}.image")
    with contextlib.ExitStack() as stack:
        stack.callback(image.unlink, missing_ok=True)
        with image.open("xb") as file:
            file.truncate(mib << 20)
        # No block is kept for root, who runs the tests: full is full.
        _run("mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", str(image))
        device = _run("losetup", "--find", "--show", str(image)).strip()
        stack.callback(_run, "losetup", "--detach", device)
        disk = Disk(device, folder)
        disk.mount()
        stack.callback(_leave, disk)
        yield disk


def why_not(folder: Path) -> str:
    """Return why there can be no disk below this folder, "" where there can."""
    try:
        with mounted(folder / "probe", mib=8):
            return ""
    except peers.UnavailableError as error:
        return str(error)


def _leave(disk: Disk) -> None:
    """Unmount it whatever has happened: one that is in use goes with its last user."""
    if not os.path.ismount(disk.root):
        return
    with contextlib.suppress(peers.UnavailableError):
        disk.unmount()
        return
    _run("umount", "--lazy", str(disk.root))


def _write_until_full(descriptor: int) -> bool:
    """Write, in smaller and smaller pieces, until there is no room; return whether there was."""
    wrote = False
    for size in _PIECES:
        with contextlib.suppress(_FullError):
            while True:
                _write(descriptor, bytes(size))
                wrote = True
    return wrote


class _FullError(Exception):
    """There is no room for a piece."""


def _write(descriptor: int, piece: bytes) -> None:
    try:
        os.write(descriptor, piece)
    except OSError as error:
        raise _FullError if error.errno == errno.ENOSPC else error from None


def _run(*argv: str) -> str:
    """Run one of the system's own; return its output. Raises `UnavailableError` if it fails."""
    try:
        done = subprocess.run(
            argv,
            env={**os.environ, "PATH": peers.SYSTEM_PATH, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise peers.UnavailableError(f"{argv[0]}: {error}") from None
    if done.returncode:
        said = (done.stderr + done.stdout).strip() or "no output"
        raise peers.UnavailableError(f"{argv[0]} failed with {done.returncode}: {said}")
    return done.stdout
