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
courtesy: little is written that nobody asked for, so that a sync that is missing shows. After a cut
it goes on with a copy of the image: the old one may be in use for long, as whoever makes a mount
namespace meanwhile – other tests do – has it mounted, too.

Limits: root only, with loop devices and the tools of Debian's e2fsprogs (`UnavailableError`). What
the loop device was given and not told to flush is in this machine's memory and survives a cut, on
a disk with a cache of its own it would not: here ext4 is trusted, not put to the test. A sync that
is under way while `cut` runs may be said to be done and is not, which a machine without power would
not live to say: what comes of one is known only if it had ended before, or begins after. A process
that is killed with SIGKILL while it has a disk leaves it mounted.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import subprocess
from typing import TYPE_CHECKING

from tools import peers

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from pathlib import Path

# linux/ext4.h: _IOR('X', 125, __u32), and its argument: go down without a flush of the log.
_SHUTDOWN = (2 << 30) | (4 << 16) | (ord("X") << 8) | 125
_NO_LOG_FLUSH = struct.pack("I", 2)
_OPTIONS = "commit=300,noauto_da_alloc"
# fsck(8): nothing was wrong, or nothing that it may not mend unasked.
_MENDED = (0, 1)
_PIECES = (1 << 20, 4096, 1)


class Disk:
    """A file system that is mounted at `root`; `image` is the file it is in."""

    def __init__(self, image: Path, root: Path) -> None:
        self.root = root
        self._image = image
        self._device = ""

    def mount(self) -> None:
        """Mount it; raises `UnavailableError` where that cannot be."""
        device = _run("losetup", "--find", "--show", str(self._image)).strip()
        try:
            _run("mount", "-t", "ext4", "-o", _OPTIONS, device, str(self.root))
        except peers.UnavailableError:
            _run("losetup", "--detach", device)
            raise
        self._device = device

    def unmount(self) -> None:
        """Unmount it, whoever has files there: it is gone once they are."""
        if self._device:
            _run("umount", "--lazy", str(self.root))
            _run("losetup", "--detach", self._device)
            self._device = ""

    def cut(self) -> None:
        """Have its power fail: what is not synced is gone, all I/O is an error until `again`."""
        folder = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(folder, _SHUTDOWN, _NO_LOG_FLUSH)
        finally:
            os.close(folder)

    def again(self) -> None:
        """After a cut, have it checked and mount it, as a machine that starts does.

        Raises `UnavailableError`, also if the file system is not whole. A process that still has
        files there keeps the old ones, which are an error for ever.
        """
        self.unmount()
        copy = self._image.with_name(f"{self._image.name}+")
        _run("cp", "--sparse=always", str(self._image), str(copy))
        copy.replace(self._image)
        _run("fsck.ext4", "-f", "-p", str(self._image), fine=_MENDED)
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
        disk = Disk(image, folder)
        disk.mount()
        stack.callback(disk.unmount)
        yield disk


def why_not(folder: Path) -> str:
    """Return why there can be no disk below this folder, "" where there can."""
    try:
        with mounted(folder / "probe", mib=8):
            return ""
    except peers.UnavailableError as error:
        return str(error)


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


def _run(*argv: str, fine: Container[int] = (0,)) -> str:
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
    if done.returncode not in fine:
        said = (done.stderr + done.stdout).strip() or "no output"
        raise peers.UnavailableError(f"{argv[0]} failed with {done.returncode}: {said}")
    return done.stdout
