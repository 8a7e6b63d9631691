"""A scripted next hop: replies with any bytes to any command, in any pieces, or disconnects.

`script` maps a verb (GREETING, EHLO, MAIL, RCPT, DATA, BDAT, RSET …, and END for the end of the
content) to an action, or to a list with an action for each time. Bytes are sent as they are, HANG
sends nothing, DROP closes, READ waits for an octet; a tuple is a sequence of these.
"""

import asyncio
import contextlib

from gatepost.config.client import ClientConfig
from gatepost.delivery.smtp.hop import Hop
from gatepost.delivery.smtp.settings import ClientSettings
from gatepost.net.client_tls import ClientTls

HANG, DROP, READ = "hang", "drop", "read"
OK = b"250 2.0.0 ok\r\n"
EHLO = b"250-peer\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 100000\r\n"
POLITE = {
    "GREETING": b"220 peer\r\n",
    "EHLO": EHLO,
    "LHLO": EHLO,
    "DATA": b"354 go\r\n",
    "PROXY": b"",
    "QUIT": (b"221 bye\r\n", DROP),
}
ENDS = (OSError, asyncio.IncompleteReadError, asyncio.CancelledError)
QUICK = {"connect_timeout": 5.0, "command_timeout": 5.0, "data_timeout": 5.0, "end_timeout": 5.0}
# Long enough for a reply of a peer on a busy machine.
IMPATIENT = dict.fromkeys(QUICK, 1.0)


class DroppedError(Exception):
    """The peer has dropped the connection."""


class Peer:
    """`async with Peer(script) as peer`: `lines` are all command lines, `messages` all contents."""

    def __init__(self, script=None, scheme="smtp", tls=None, path=None, at=None):
        self.script = {**POLITE, **(script or {})}
        self.scheme = scheme
        self.lines = []
        self.messages = []
        self.connections = 0
        self.secured = 0
        self.ended = asyncio.Event()
        self._tls = tls
        self._path = path
        self._at = at or ("127.0.0.1", 0)
        self._writers = set()

    async def __aenter__(self):
        if self._path:
            self._server = await asyncio.start_unix_server(self._serve, self._path)
            self.hop = Hop(self.scheme, "localhost", path=str(self._path))
        else:
            self._server = await asyncio.start_server(self._serve, *self._at)
            self.hop = Hop(self.scheme, "127.0.0.1", self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_error):
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    def close_connections(self):
        """Close every connection, as after an idle timeout."""
        for writer in self._writers:
            writer.close()

    @property
    def verbs(self):
        return [line.split(":")[0].split(" ")[0] for line in self.lines]

    async def _serve(self, reader, writer):
        self.connections += 1
        self._writers.add(writer)
        with contextlib.suppress(DroppedError, *ENDS):
            await self._talk(reader, writer)
        writer.close()
        self.ended.set()

    async def _talk(self, reader, writer):
        await self._do("GREETING", reader, writer)
        while line := await reader.readline():
            text = line.decode().rstrip("\r\n")
            self.lines.append(text)
            verb = text.split(" ")[0]
            if verb == "BDAT":
                self.messages.append(await reader.readexactly(int(text.split(" ")[1])))
            done = await self._do(verb, reader, writer)
            if verb == "DATA" and done == POLITE["DATA"]:
                self.messages.append(await reader.readuntil(b"\r\n.\r\n"))
                await self._do("END", reader, writer)
            if verb == "STARTTLS" and "HANDSHAKE" in self.script:
                await reader.read(1)
                await self._do("HANDSHAKE", reader, writer)
            if verb == "STARTTLS" and self._tls is not None:
                await writer.start_tls(self._tls)
                self.secured += 1

    async def _do(self, verb, reader, writer):
        what = self.script.get(verb, OK)
        if isinstance(what, list):
            what = what.pop(0) if len(what) > 1 else what[0]
        for part in what if isinstance(what, tuple) else (what,):
            if part is DROP:
                raise DroppedError
            if part is READ:
                await reader.readexactly(1)
                continue
            if part is HANG:
                await asyncio.get_running_loop().create_future()
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        return what


def settings(tls=None, **options):
    return ClientSettings(
        ClientConfig(**{**QUICK, **options}), "gate.example", tls or ClientTls("none")
    )


def run(scenario):
    """Run a coroutine; a test that hangs fails."""

    async def bounded():
        async with asyncio.timeout(20):
            return await scenario

    return asyncio.run(bounded())
