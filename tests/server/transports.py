"""A client over each transport of a server that controls how its octets are split.

Data is sent in pieces, and the server runs after each piece. Under TLS every piece is a record of
its own; `send_cut` splits the record itself.
"""

import asyncio
import contextlib
import functools
import re
import socket
import ssl

from tests.net.authority import client_context
from tests.references import without_references
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
    """Return the TLS context of a client; it is cached, because it costs more than a handshake."""
    return client_context()


class TransportClient:
    """One connection; `await TransportClient.connect(running, transport)` reads the greeting."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self._tls = None
        self._unread = b""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    @classmethod
    async def connect(cls, running, transport, number=0):
        """Connect to the listener with this number, up to the greeting or the end of STARTTLS."""
        client = await cls.before_handshake(running, transport, number)
        if transport != "plain":
            await client.encrypt()
        if transport != "starttls":
            assert (await client.reply())[:3] == "220"
        return client

    @classmethod
    async def before_handshake(cls, running, transport, number=0):
        """Connect, and send STARTTLS if the transport needs it."""
        host, _, port = running.server.addresses[number][1].rpartition(":")
        client = cls(*await asyncio.open_connection(host, int(port)))
        client.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if transport == "starttls":
            await client.send(HELO)
            await client.send(b"STARTTLS\r\n")
            assert [(await client.reply())[:3] for _ in range(3)] == ["220", "250", "220"]
        return client

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
        """Send the pieces one by one."""
        for piece in pieces:
            await self.send_raw(self._sealed(piece))

    async def send_cut(self, octets, cut):
        """Send octets, in one record under TLS, and split the octets on the network."""
        for piece in cut(self._sealed(octets)):
            await self.send_raw(piece)

    def _sealed(self, octets):
        if self._tls is None:
            return octets
        self._tls.write(octets)
        return self._outgoing.read()

    async def send_raw(self, octets):
        """Send octets without encryption, and let the server run."""
        self.writer.write(octets)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def flush(self):
        """Send the records that TLS has produced itself."""
        await self.send_raw(self._outgoing.read())

    async def half_close_tls(self, behind=b""):
        """Send close_notify and then octets in the clear; received data is still decrypted."""
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        await self.send_raw(self._outgoing.read() + behind)

    async def end_tls(self, behind=b""):
        """Send the same, and use the connection in the clear from now on."""
        await self.half_close_tls(behind)
        self._tls = None

    async def reply(self):
        """Return the last line of the next reply, "" at the end."""
        while (line := await self._line())[3:4] == b"-":
            pass
        return without_references(line.decode().rstrip("\r\n"))

    async def rest(self):
        """Return the last lines of all replies until the server closes."""
        return [line async for line in self._replies()]

    async def _replies(self):
        while line := await self.reply():
            yield line

    async def _line(self):
        while b"\n" not in self._unread:
            data = await self._read()
            if not data:
                break
            self._unread += data
        line, end, self._unread = self._unread.partition(b"\n")
        return line + end

    async def _read(self):
        """Return the next octets, decrypted; b"" at the end."""
        while self._tls:
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                data = await self._read_socket()
                if not data:
                    return b""
                self._incoming.write(data)
            except ssl.SSLZeroReturnError:
                return b""
        return await self._read_socket()

    async def _read_socket(self):
        with contextlib.suppress(ConnectionError):
            return await self.reader.read(65536)
        return b""

    async def rest_raw(self):
        """Return all octets until the end, not decrypted."""
        with contextlib.suppress(ConnectionError):
            return await self.reader.read()
        return b""

    async def close(self):
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()
