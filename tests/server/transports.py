"""A client of bytes over each transport a server has, that says how they are cut.

Whatever is sent goes piece by piece, and the server has its turn after each; under TLS every piece
is a record of its own, unless the records are cut themselves (`send_cut`).
"""

import asyncio
import contextlib
import functools
import re
import socket
import ssl

from tests.net.authority import client_context
from tests.server.loopback import HELO

TRANSPORTS = ("plain", "starttls", "implicit")
NAME = "mx.example.com"


def whole(octets):
    return [octets]


def octetwise(octets):
    return [octets[at : at + 1] for at in range(len(octets))]


def at_line_ends(octets):
    return re.findall(rb"[^\r\n]+|\r|\n", octets)


CUTS = {"whole": whole, "octets": octetwise, "line ends": at_line_ends}


@functools.cache
def _context():
    """Return a client's side of TLS; to make one takes longer than a handshake."""
    return client_context()


class Caller:
    """One connection: `await Caller.to(house, transport)` is greeted."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self._tls = None
        self._heard = b""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    @classmethod
    async def to(cls, house, transport, number=0):
        """Connect to the listener of that number, up to its greeting or behind STARTTLS."""
        caller = await cls.before_handshake(house, transport, number)
        if transport != "plain":
            await caller.encrypt()
        if transport != "starttls":
            assert (await caller.reply())[:3] == "220"
        return caller

    @classmethod
    async def before_handshake(cls, house, transport, number=0):
        """Connect, and begin what leads to TLS."""
        host, _, port = house.server.addresses[number][1].rpartition(":")
        caller = cls(*await asyncio.open_connection(host, int(port)))
        caller.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if transport == "starttls":
            await caller.send(HELO)
            await caller.send(b"STARTTLS\r\n")
            assert [(await caller.reply())[:3] for _ in range(3)] == ["220", "250", "220"]
        return caller

    async def encrypt(self):
        """Do the handshake."""
        bio = _context().wrap_bio(self._incoming, self._outgoing, server_hostname=NAME)
        while True:
            try:
                bio.do_handshake()
            except ssl.SSLWantReadError:
                self.writer.write(self._outgoing.read())
                self._incoming.write(await self.reader.read(65536))
            else:
                break
        self._tls = bio
        await self.flush()

    async def send(self, *pieces):
        """Send each piece by itself."""
        for piece in pieces:
            await self.send_raw(self._sealed(piece))

    async def send_cut(self, octets, cut):
        """Send octets as one record, if there is TLS, and cut what goes over the network."""
        for piece in cut(self._sealed(octets)):
            await self.send_raw(piece)

    def _sealed(self, octets):
        if self._tls is None:
            return octets
        self._tls.write(octets)
        return self._outgoing.read()

    async def send_raw(self, octets):
        """Send octets as they are, and let the server have its turn."""
        self.writer.write(octets)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def flush(self):
        """Send what TLS has to say by itself."""
        await self.send_raw(self._outgoing.read())

    async def half_close_tls(self, behind=b""):
        """Say close_notify, with octets in the clear behind it; what comes is still decrypted."""
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        await self.send_raw(self._outgoing.read() + behind)

    async def end_tls(self, behind=b""):
        """The same; what comes and goes from here on is in the clear."""
        await self.half_close_tls(behind)
        self._tls = None

    async def reply(self):
        """Return the last line of the next reply, "" at the end."""
        while (line := await self._line())[3:4] == b"-":
            pass
        return line.decode().rstrip("\r\n")

    async def rest(self):
        """Return the last lines of all replies until the server closes."""
        return [line async for line in self._replies()]

    async def _replies(self):
        while line := await self.reply():
            yield line

    async def _line(self):
        while b"\n" not in self._heard:
            data = await self._read()
            if not data:
                break
            self._heard += data
        line, end, self._heard = self._heard.partition(b"\n")
        return line + end

    async def _read(self):
        """Return what comes next, decrypted; b"" at the end."""
        while self._tls:
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                data = await self._received()
                if not data:
                    return b""
                self._incoming.write(data)
            except ssl.SSLZeroReturnError:
                return b""
        return await self._received()

    async def _received(self):
        with contextlib.suppress(ConnectionError):
            return await self.reader.read(65536)
        return b""

    async def rest_raw(self):
        """Return what comes up to the end, as it is."""
        with contextlib.suppress(ConnectionError):
            return await self.reader.read()
        return b""

    async def close(self):
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()
