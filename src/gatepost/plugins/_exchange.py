"""Send a request to a service on a socket while its response is read: spamd, clamd.

Such a service can answer before it has read everything, and close: a size limit, for example. So
the response is kept whatever becomes of the request.

Trusts the service to be the one at the address; its response can be anything.
Limits: the response has at most `most` octets. The caller sets the time-out. What is not sent yet
is one piece of the request, and what the transport keeps (64 KiB).
"""

import asyncio
from collections.abc import Iterable
from typing import Self

UNIX = "unix:"


class Address(str):
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


class _Exchange(asyncio.Protocol):
    """One request and its response; `end` are the octets that end the response, b"" for none."""

    def __init__(self, end: bytes, most: int) -> None:
        self.response = bytearray()
        self.problem: Exception | None = None
        self.is_over = asyncio.Event()
        self._end = end
        self._most = most
        self._can_write = asyncio.Event()
        self._can_write.set()

    def data_received(self, data: bytes) -> None:
        self.response += data
        if len(self.response) > self._most:
            self._finish(ValueError(f"the response has more than {self._most} octets"))
        elif self._end and self.response.endswith(self._end):
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(exc)

    def pause_writing(self) -> None:
        self._can_write.clear()

    def resume_writing(self) -> None:
        self._can_write.set()

    def _finish(self, problem: Exception | None = None) -> None:
        """End the exchange, once; a failure to send does not hide a response."""
        if not self.is_over.is_set():
            self.problem = problem
            self.is_over.set()
            self._can_write.set()

    async def send(self, transport: asyncio.WriteTransport, pieces: Iterable[bytes]) -> None:
        """Write pieces as fast as they are read, until the exchange is over."""
        for piece in pieces:
            transport.write(piece)
            await asyncio.sleep(0)  # other sessions go on, and a response is seen
            await self._can_write.wait()
            if self.is_over.is_set():
                return


async def exchange(
    address: Address,
    pieces: Iterable[bytes],
    *,
    end: bytes = b"",
    half_close: bool = False,
    most: int = 65536,
) -> bytes:
    """Return the response to a request: up to `end`, or up to the end of the connection.

    With `half_close` the service sees the end of the request. A response that is cut off is
    returned too. Raises OSError if the service cannot be reached or sends nothing, ValueError for
    a response of more than `most` octets.
    """
    transport, talk = await _connect(address, end, most)
    try:
        await talk.send(transport, pieces)
        if half_close and not talk.is_over.is_set() and transport.can_write_eof():
            transport.write_eof()
        await talk.is_over.wait()
    finally:
        transport.abort()
    if isinstance(talk.problem, ValueError):
        raise talk.problem
    if not talk.response:
        raise ConnectionError("closed without a response") from talk.problem
    return bytes(talk.response)


async def _connect(
    address: Address, end: bytes, most: int
) -> tuple[asyncio.WriteTransport, _Exchange]:
    loop = asyncio.get_running_loop()

    def make() -> _Exchange:
        return _Exchange(end, most)

    if address.startswith(UNIX):
        return await loop.create_unix_connection(make, address.removeprefix(UNIX))
    host, port = address.host_and_port()
    return await loop.create_connection(make, host, port)
