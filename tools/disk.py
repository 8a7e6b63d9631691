"""A small file system for tests of power cuts and of a full disk.

    with disk.mounted(folder, mib=64) as small:
        ...                # write below small.root
        small.cut()        # data that is not synced is lost; further writes fail with EIO
        ...                # end every process that has files there
        small.restore()    # as after a start of the machine: the journal is replayed

        with small.full(): # no space is left meanwhile
            ...

Theory of operation: an ext4 in an image file on a loop device. A cut is ext4's own
`EXT4_IOC_SHUTDOWN` without a flush of the log: the journal ends at its last sync, and data that is
only in memory never reaches the disk. The mount options reduce writes without a sync, so that a
missing sync shows. After a cut the disk continues with a copy of the image, because the old image
may stay in use for long: another test that creates a mount namespace has it mounted too.

Limits: root only, with loop devices and the tools of Debian's e2fsprogs (`UnavailableError`). Data
that the loop device has received but not flushed is in the memory of this machine and survives a
cut. A disk with its own cache would lose it. ext4 is trusted here, not tested. A sync that runs
during `cut` may report success although it failed; a machine without power could not report that.
Therefore rely only on a sync that ended before the cut or started after it. A process that is
killed with SIGKILL leaves its disk mounted.
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
# fsck(8): no error, or errors that were corrected.
_REPAIRED = (0, 1)
_PIECES = (1 << 20, 4096, 1)


class Disk:
    """A file system mounted at `root`, in the file `image`."""

    def __init__(self, image: Path, root: Path) -> None:
        self.root = root
        self._image = image
        self._device = ""

    def mount(self) -> None:
        """Mount it; raise `UnavailableError` if that fails."""
        device = _run("losetup", "--find", "--show", str(self._image)).strip()
        try:
            _run("mount", "-t", "ext4", "-o", _OPTIONS, device, str(self.root))
        except peers.UnavailableError:
            _run("losetup", "--detach", device)
            raise
        self._device = device

    def unmount(self) -> None:
        """Unmount it lazily: it disappears when the last open file is closed."""
        if self._device:
            _run("umount", "--lazy", str(self.root))
            _run("losetup", "--detach", self._device)
            self._device = ""

    def cut(self) -> None:
        """Cut its power: data that is not synced is lost, and I/O fails until `restore`."""
        folder = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(folder, _SHUTDOWN, _NO_LOG_FLUSH)
        finally:
            os.close(folder)

    def restore(self) -> None:
        """Check and mount it after a cut, as a machine does when it starts.

        Raise `UnavailableError` if that fails or the file system is damaged. A process with open
        files keeps the old ones, on which all I/O fails.
        """
        self.unmount()
        copy = self._image.with_name(f"{self._image.name}+")
        _run("cp", "--sparse=always", str(self._image), str(copy))
        copy.replace(self._image)
        _run("fsck.ext4", "-f", "-p", str(self._image), fine=_REPAIRED)
        self.mount()

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Fill it for the duration of the context."""
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
        """Sync, so that the space of removed files can be used."""
        folder = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def mounted(folder: Path, mib: int) -> Iterator[Disk]:
    """Create a file system of `mib` MiB and mount it on `folder` for the duration of the context.

    The folder is created if it does not exist. Raise `peers.UnavailableError` with the reason if
    that fails.
    """
    if os.geteuid():
        raise peers.UnavailableError("only root can mount a disk")
    folder.mkdir(parents=True, exist_ok=True)
    image = folder.with_name(f"{folder.name}.image")
    with contextlib.ExitStack() as stack:
        stack.callback(image.unlink, missing_ok=True)
        with image.open("xb") as file:
            file.truncate(mib << 20)
        # No blocks are reserved for root, which runs the tests.
        _run("mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", str(image))
        disk = Disk(image, folder)
        disk.mount()
        stack.callback(disk.unmount)
        yield disk


def why_not(folder: Path) -> str:
    """Return why no disk can be mounted below this folder, or ""."""
    try:
        with mounted(folder / "probe", mib=8):
            return ""
    except peers.UnavailableError as error:
        return str(error)


def _write_until_full(descriptor: int) -> bool:
    """Write smaller and smaller pieces until no space is left; return whether any was written."""
    wrote = False
    for size in _PIECES:
        with contextlib.suppress(_FullError):
            while True:
                _write(descriptor, bytes(size))
                wrote = True
    return wrote


class _FullError(Exception):
    """No space is left for a piece."""


def _write(descriptor: int, piece: bytes) -> None:
    try:
        os.write(descriptor, piece)
    except OSError as error:
        raise _FullError if error.errno == errno.ENOSPC else error from None


def _run(*argv: str, fine: Container[int] = (0,)) -> str:
    """Run a system program and return its output; raise `UnavailableError` if it fails."""
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
        output = (done.stderr + done.stdout).strip() or "no output"
        raise peers.UnavailableError(f"{argv[0]} failed with {done.returncode}: {output}")
    return done.stdout
