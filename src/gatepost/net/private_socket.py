"""Unix sockets that only their owner and root can use, for programs of one machine.

Security: the file has mode 0600 in a folder that only its owner can enter, and the receiver asks
the kernel for the user of the other end. Where it does not report the user, the modes decide.

A socket gets its name once it accepts: a file that refuses a connection is that of a process that
has ended.
"""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gatepost.disk.durable import FILE_MODE

BACKLOG = 16
# Octets of a path that every system takes as the address of a socket.
_MAX_ADDRESS = 100
_CREDENTIALS = struct.Struct("3i")  # process, user, group


def listen(path: Path) -> socket.socket:
    """Return a socket that listens at a path which does not exist; raises OSError."""
    new = path.with_name(f"{path.name}.new")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _address(new) as address:
            sock.bind(address)
        new.chmod(FILE_MODE)
        sock.listen(BACKLOG)
        new.rename(path)
    except BaseException:
        sock.close()
        raise
    return sock


def connect(path: Path) -> socket.socket:
    """Return a connected socket that does not block; raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        with _address(path) as address:
            sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def remove_stale(folder: Path, pattern: str) -> None:
    """Remove the sockets of processes that have ended; raises OSError."""
    for path in folder.glob(pattern):
        try:
            connect(path).close()
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
        except BlockingIOError:  # its backlog is full
            continue


def is_owner(sock: socket.socket) -> bool:
    """Return whether the other end is this user or root."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    octets = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(octets)
    return user in (0, os.geteuid())


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """Yield an address of the path that is short enough; the path itself can be longer."""
    if len(os.fsencode(path)) <= _MAX_ADDRESS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
