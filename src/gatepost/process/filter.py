"""The program between OpenSMTPD and a policy listener: `gatepost filter`.

Theory of operation
-------------------
OpenSMTPD starts the program and mixes the requests of all its SMTP sessions on one pipe. Each
session gets its own connection to the listener, so that a session that waits for an answer does not
delay the others. The connection opens with the first request and closes with the session.

If the listener cannot be reached, or its answer cannot be read, the request gets the action
`unavailable`, and the next request connects again. OpenSMTPD stops if a filter ends, so no such
error ends the program. It ends when OpenSMTPD closes the pipe.

Limits: a line has at most MAX_LINE octets, and an answer takes at most TIMEOUT seconds, which is
less than SMTP clients wait.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Final

from gatepost.config.listen import InetAddress, UnixAddress
from gatepost.wire.opensmtpd import READY, REGISTRATION, Ask, Filter, Gone, result
from gatepost.wire.policy import MAX_REQUEST, action, request

MAX_LINE: Final = MAX_REQUEST
# RFC 5321 s4.5.3.2.3: a client waits 5 minutes for the reply to RCPT, 2 minutes for that to DATA.
TIMEOUT: Final = 100.0
# RFC 5321 s3.8: this code may come at any point, also as the greeting.
DEFER: Final = "421 4.3.0 Policy service is not available, try again later"
ACCEPT: Final = "DUNNO"

Address = InetAddress | UnixAddress


class _Session:
    """One SMTP session: its connection, None before the first request and after an error."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def close(self) -> None:
        """Close the connection."""
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None


class Relay:
    """Passes requests to the listener at `address`, and its answers to `write` as lines.

    `report` is called with the reason of each error, for the log of OpenSMTPD.
    """

    def __init__(
        self,
        address: Address,
        write: Callable[[str], None],
        report: Callable[[str], None],
        unavailable: str = DEFER,
    ) -> None:
        self._address = address
        self._write = write
        self._report = report
        self._unavailable = unavailable
        self._filter = Filter()
        self._sessions: dict[str, _Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, lines: asyncio.StreamReader) -> None:
        """Answer requests until the end of the input."""
        while line := await _next_line(lines):
            self._read(line.rstrip("\n"))
        await asyncio.gather(*self._tasks)
        for session in self._sessions.values():
            session.close()

    def _read(self, line: str) -> None:
        if line == READY:
            self._write(REGISTRATION)
            return
        found = self._filter.read(line)
        if isinstance(found, Gone):
            self._end(found.session)
        elif found is not None:
            task = asyncio.ensure_future(self._answer(found))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _end(self, name: str) -> None:
        session = self._sessions.pop(name, None)
        if session is not None:
            session.close()

    async def _answer(self, ask: Ask) -> None:
        session = self._sessions.setdefault(ask.session, _Session())
        async with session.lock:
            try:
                async with asyncio.timeout(TIMEOUT):
                    answer = action(await self._ask(session, request(ask.attributes)))
            except (OSError, ValueError, EOFError, asyncio.LimitOverrunError) as error:
                session.close()
                self._report(str(error) or type(error).__name__)
                answer = self._unavailable
        self._write(result(ask, answer))

    async def _ask(self, session: _Session, octets: bytes) -> bytes:
        """Return the answer; the listener may have closed a connection that was idle."""
        if session.streams is not None:
            try:
                return await _exchange(*session.streams, octets)
            except (OSError, EOFError):
                session.close()
        session.streams = await _connect(self._address)
        return await _exchange(*session.streams, octets)


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, octets: bytes
) -> bytes:
    writer.write(octets)
    await writer.drain()
    return await reader.readuntil(b"\n\n")


async def _connect(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(address, UnixAddress):
        return await asyncio.open_unix_connection(address.path)
    return await asyncio.open_connection(address.host, address.port)


async def _next_line(lines: asyncio.StreamReader) -> str:
    """Return the next line with its line break, "" at the end; one that is too long is skipped."""
    while True:
        try:
            line = await lines.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return ""
        except asyncio.LimitOverrunError as error:
            await lines.readexactly(error.consumed)
            continue
        return line.decode(errors="replace")


async def serve(address: Address, unavailable: str) -> None:
    """Answer the requests on standard input until it ends."""
    lines = asyncio.StreamReader(MAX_LINE)
    protocol = asyncio.StreamReaderProtocol(lines)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin.buffer)
    await Relay(address, _print, _report, unavailable).run(lines)


def _print(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


def _report(problem: str) -> None:
    sys.stderr.write(f"gatepost: policy service is not available: {problem}\n")
    sys.stderr.flush()
