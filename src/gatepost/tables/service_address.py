"""The addresses of look-up services in specifications: a Unix socket, or a host and a port."""

import asyncio
from pathlib import Path
from typing import NamedTuple

from gatepost.config.problem import quote

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class UnixService(NamedTuple):
    """A Unix socket."""

    path: Path

    async def connect(self) -> _Streams:
        """Return the streams of a new connection; raises OSError."""
        try:
            return await asyncio.open_unix_connection(self.path)
        except OSError as error:
            raise OSError(f"{self.path}: {error.strerror or error}") from error


class InetService(NamedTuple):
    """A host, by name or address, and a TCP port."""

    host: str
    port: int

    async def connect(self) -> _Streams:
        """Return the streams of a new connection; raises OSError."""
        return await asyncio.open_connection(self.host, self.port)


ServiceAddress = UnixService | InetService


def inet_service(text: str) -> InetService:
    """Return the address of "HOST:PORT", an IPv6 address in brackets; raises ValueError."""
    host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or (":" in bare) != host.startswith("["):
        raise ValueError(f"expected HOST:PORT, found {quote(text)}")
    if not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536):
        raise ValueError(f"expected a port from 1 to 65535, found {quote(port)}")
    return InetService(bare, int(port))


def unix_service(path: str, base: Path) -> UnixService:
    """Return the address of a socket; a relative path starts at `base`. Raises ValueError."""
    if not path:
        raise ValueError("expected the path of a socket, found none")
    return UnixService(base / path)
