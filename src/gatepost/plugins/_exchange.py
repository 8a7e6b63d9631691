"""Send a request to a service on a socket while its response is read: spamd, clamd.

Such a service can answer before it has read everything, and close: a size limit, for example. Then
sending fails, and the response can still be read. A transport would close without reading it, so
this uses the socket itself.

Trusts the service to be the one at the address; its response can be anything.
Limits: the response has at most `most` octets. The caller sets the time-out. One piece of
the request is in memory.
"""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Self

UNIX = "unix:"
_READ_SIZE = 65536


class UnreachableError(OSError):
    """A service does not accept connections, or a program cannot be started."""


class ServiceAddress(str):
    """The address of a service: "unix:/run/service.sock", "127.0.0.1:783" or "[::1]:783".

    Raises ValueError for another form.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Return the address; raises ValueError."""
        address = super().__new__(cls, text)
        if not text.startswith(UNIX):
            address.host_and_port()
        elif not text.removeprefix(UNIX).startswith("/"):
            raise ValueError(f"expected {UNIX} and an absolute path, found {text!r}")
        return address

    def host_and_port(self) -> tuple[str, int]:
        """Return the parts of an address for TCP."""
        host, colon, port = self.rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        well_formed = bare and colon and (":" not in bare or host.startswith("["))
        if not (well_formed and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError(f'expected "{UNIX}PATH" or "HOST:PORT", found {str(self)!r}')
        return bare, int(port)


def addresses(servers: str | Sequence[str]) -> list[ServiceAddress]:
    """Return the addresses in an option; raises ValueError for another form, or without any."""
    found = [servers] if isinstance(servers, str) else servers
    if not found:
        raise ValueError("server: expected at least one address")
    return [ServiceAddress(one) for one in found]


async def exchange(
    address: ServiceAddress,
    pieces: Iterable[bytes],
    *,
    end: bytes = b"",
    half_close: bool = False,
    most: int = 65536,
) -> bytes:
    """Return the response to a request: up to `end`, or up to the end of the connection.

    With `half_close` the service sees the end of the request. A response that is cut off is
    returned too. Raises `UnreachableError` without a connection, another OSError if the service
    sends nothing, ValueError for a response of more than `most` octets, and any error of the
    pieces.
    """
    with await _connect(address) as connection:
        sending = asyncio.create_task(_send(connection, pieces, half_close=half_close))
        receiving = asyncio.create_task(_receive(connection, end, most))
        both = {sending, receiving}
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if sending in done:
                sending.result()
            return await receiving
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)


async def _connect(address: ServiceAddress) -> socket.socket:
    """Return a connection; raises `UnreachableError`."""
    try:
        return await _open(address)
    except OSError as error:
        raise UnreachableError(str(error)) from error


async def _open(address: ServiceAddress) -> socket.socket:
    if address.startswith(UNIX):
        return await _connected(socket.AF_UNIX, address.removeprefix(UNIX))
    host, port = address.host_and_port()
    loop = asyncio.get_running_loop()
    *others, last = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for family, _, _, _, found in others:
        with suppress(OSError):
            return await _connected(family, found)
    return await _connected(last[0], last[4])


async def _connected(family: int, address: Any) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


async def _send(connection: socket.socket, pieces: Iterable[bytes], *, half_close: bool) -> None:
    """Send pieces as fast as they are read; a service that reads no more can still answer."""
    loop = asyncio.get_running_loop()
    with suppress(ConnectionError):
        for piece in pieces:
            await loop.sock_sendall(connection, piece)
            await asyncio.sleep(0)  # other sessions go on
        if half_close:
            connection.shutdown(socket.SHUT_WR)


async def _receive(connection: socket.socket, end: bytes, most: int) -> bytes:
    loop, response = asyncio.get_running_loop(), bytearray()
    try:
        while piece := await loop.sock_recv(connection, _READ_SIZE):
            response += piece
            if len(response) > most:
                raise ValueError(f"the response has more than {most} octets")
            if end and response.endswith(end):
                break
    except ConnectionError:
        if not response:
            raise
    if not response:
        raise ConnectionError("closed without a response")
    return bytes(response)
