"""Sockets to listen on, bound from the configuration's addresses."""

import errno
import os
import socket
import stat
from pathlib import Path

from gatepost.config.listen import InetAddress, InheritedSocket, ListenAddress, UnixAddress
from gatepost.model.endpoint import Endpoint

# Connections that wait for accept. The kernel reduces it to its own limit.
BACKLOG = 4096


class ListenFailedError(OSError):
    """An address that cannot be listened on; the message names the address and the reason."""


def bind(address: ListenAddress, base: Path, *, shared: bool = False) -> socket.socket:
    """Return a listening socket; a relative path starts at `base`. Raises `ListenFailedError`.

    `shared` lets other sockets of this user have the same TCP port (SO_REUSEPORT); the kernel then
    spreads connections among them.
    """
    try:
        match address:
            case InetAddress():
                return _inet(address, shared=shared)
            case UnixAddress():
                return _unix(base / address.path)
            case InheritedSocket():
                return socket.socket(fileno=os.dup(address.fd))
    except OSError as error:
        raise ListenFailedError(f"cannot listen on {address}: {error.strerror}") from error


def probe(address: InetAddress) -> None:
    """Raise `ListenFailedError` if a socket listens there, even one that shares its port."""
    try:
        _bound(address, shared=False).close()
    except OSError as error:
        raise ListenFailedError(f"cannot listen on {address}: {error.strerror}") from error


def _inet(address: InetAddress, *, shared: bool) -> socket.socket:
    sock = _bound(address, shared=shared)
    try:
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _bound(address: InetAddress, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # With IPPROTO_TCP asyncio sets TCP_NODELAY on accepted sockets. Otherwise replies are delayed.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address.host, address.port))
    except OSError:
        sock.close()
        raise
    return sock


def _unix(path: Path) -> socket.socket:
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _remove_stale(path: Path) -> None:
    """Remove a socket file whose server has ended; raise OSError if it is in use.

    Without the attempt to connect, a second server would take the path from the first one, which
    then waits for connections that cannot arrive.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except PermissionError:
            raise
        except OSError:  # its backlog is full, or it is no stream socket
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def bound_address(sock: socket.socket) -> str:
    """Return the address of a listening socket, with the port that the system has chosen."""
    name = sock.getsockname()
    if sock.family == socket.AF_INET6:
        return f"[{name[0]}]:{name[1]}"
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else f"unix:{name}"


def single_address(sock: socket.socket) -> Endpoint | None:
    """Return the local address of all connections of a listener; None if it has several."""
    name = sock.getsockname()
    if not isinstance(name, tuple) or name[0] in ("0.0.0.0", "::"):  # noqa: S104 - compared only
        return None
    return Endpoint(name[0], name[1])
