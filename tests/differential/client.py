"""A client in memory that can start TLS."""

import asyncio
import re
import ssl

from tests.differential.servers import HOST
from tests.net.authority import client_context

from gatepost.server.connection import Connection
from gatepost.server.memory import MemoryClient

REPLY = re.compile(rb"(?:\d\d\d-[^\r\n]*\r\n)*\d\d\d(?: [^\r\n]*)?\r\n")


class Client:
    """Sends octets and collects complete replies."""

    def __init__(self, server, settings, peer):
        connection = Connection(server.connections, settings)
        self._memory = MemoryClient(connection, peer, server.advance)
        self._tls = None
        self._received = b""

    @property
    def closed(self):
        return self._memory.closed

    def send(self, data):
        if self._tls is not None:
            self._tls.write(data)
            data = self._outgoing.read()
        self._memory.send(data)

    async def replies(self):
        """Return the replies up to the time at which the server waits for input."""
        await self._settle()
        self._received += self._take()
        found = REPLY.findall(self._received)
        assert b"".join(found) == self._received, self._received
        self._received = b""
        return found

    async def handshake(self):
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context().wrap_bio(self._incoming, self._outgoing, server_hostname=HOST)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._memory.send(self._outgoing.read())
                await self._settle()
                self._incoming.write(self._written())
        self._memory.send(self._outgoing.read())
        self._tls = tls

    async def close(self):
        await self._memory.close()

    async def _settle(self):
        """Wait until the server waits for input."""
        await asyncio.sleep(0)
        while await self._memory._connection.pump.until_idle():
            pass

    def _written(self):
        transport = self._memory._transport
        data, transport.written = transport.written, b""
        return data

    def _take(self):
        if self._tls is None:
            return self._written()
        self._incoming.write(self._written())
        plain = b""
        try:
            while piece := self._tls.read(65536):
                plain += piece
        except ssl.SSLWantReadError:
            pass
        return plain
