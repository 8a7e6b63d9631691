"""For authors of plugins: run a dialogue against plugins, in memory, with a clock that never waits.

    from gatepost.testing import play

    def test_closed_on_mondays():
        played = play('''
            S: 220
            C: EHLO client.example
            S: 250
            C: MAIL FROM:<a@client.example>
            C: RCPT TO:<user@example.com>
            S: 250
            S: 550 5.7.1 closed today*
        ''', plugins=[NoMondays(day=0)], now="2024-01-01")
        assert played.messages == []

A dialogue is a transcript. `C:` lines are sent; those that follow each other in one piece, as a
client that pipelines does. Each `S:` line is what the server must answer: only the code matches
a whole reply with that code, anything longer is compared with the reply's next line, where `*`
stands for any text. Blank lines and lines that begin with `#` say nothing.

The server is the real one, from the bytes to the plugins; only socket, clock and target are not.

Programs that send mail are tested with a server on a real socket, in a thread of its own:
`RunningServer`, or the fixture `gatepost_server` of `gatepost.pytest_plugin`.
"""

import asyncio
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, cast

import msgspec

from gatepost.config.listen import InetAddress
from gatepost.config.schema import Config, ListenConfig, RecipientsConfig, RouteConfig, SmtpConfig
from gatepost.lists.addresses import AddressList
from gatepost.model.decision import Decision, accept
from gatepost.model.session import Transaction
from gatepost.net.resolver import NoSuchNameError, ResolveError
from gatepost.plugin.base import Plugin
from gatepost.plugin.host import Installed
from gatepost.server.connection import Connection
from gatepost.server.connections import Connections
from gatepost.server.server import Server
from gatepost.session.assemble import find_lists, load_lists, make_setup

# Transcripts are read more easily where commands need not wait for replies.
DEFAULT_CONFIG = Config(
    smtp=SmtpConfig(unauthorised_pipelining="tolerate"),
    recipients=RecipientsConfig(domains=["example.com"]),
    route=[RouteConfig(to="discard:")],
)

# A client that a test has left connected is not worth waiting for.
PATIENCE = 0.1

_LINE = re.compile(r"([CS]): ?(.*)")
_ONLY_CODE = re.compile(r"[2-5]\d\d")
_REPLY = re.compile(rb"(?:\d\d\d-[^\r\n]*\r\n)*\d\d\d [^\r\n]*\r\n")


class VirtualClock:
    """A clock that shows what it is told and for which waiting takes no time.

    `slept` are the waits asked for, in seconds; each moves the clock on.
    """

    def __init__(self, now: str | datetime = "2024-01-01") -> None:
        moment = datetime.fromisoformat(now) if isinstance(now, str) else now
        self._time = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        self.slept: list[float] = []

    def time(self) -> float:
        """Return seconds since the epoch."""
        return self._time

    async def sleep(self, seconds: float) -> None:
        """Move on at once; whoever else is ready runs first."""
        self.slept.append(seconds)
        self._time += seconds
        await asyncio.sleep(0)


class FakeResolver:
    """A DNS in which is what it is told: for whatever takes a `gatepost.net.resolver.Resolver`.

    `mx` has (preference, host) pairs by domain, `hosts` the addresses of hosts; a name in neither
    does not exist. For those in `fail` nobody can say.
    """

    def __init__(
        self,
        mx: Mapping[str, Sequence[tuple[int, str]]] | None = None,
        hosts: Mapping[str, Sequence[str]] | None = None,
        fail: Collection[str] = (),
    ) -> None:
        self._mx = mx or {}
        self._hosts = hosts or {}
        self._fail = fail

    async def mx(self, domain: str) -> list[tuple[int, str]]:
        """Return what `mx` has."""
        return list(self._look_up(self._mx, domain))

    async def addresses(self, host: str) -> list[str]:
        """Return what `hosts` has."""
        return list(self._look_up(self._hosts, host))

    def _look_up(self, records: Mapping[str, Sequence[Any]], name: str) -> Sequence[Any]:
        if name in self._fail:
            raise ResolveError(f"{name}: no answer")
        if name not in self._mx and name not in self._hosts:
            raise NoSuchNameError(f"{name}: no such name")
        return records.get(name, ())


class ReceivedMessage(msgspec.Struct, frozen=True):
    """A message that was accepted: the envelope's addresses, and all its bytes."""

    reverse_path: str
    recipients: list[str]
    content: bytes


class Played(msgspec.Struct, frozen=True):
    """What came of a dialogue: the replies as text, the messages taken, the waits in seconds."""

    replies: list[str]
    messages: list[ReceivedMessage]
    slept: list[float]


class Capture(Plugin):
    """Takes every message that nobody else has taken, and keeps it in `messages`."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[ReceivedMessage] = []

    def on_deliver(self, tx: Transaction) -> Decision:
        """Take the message."""
        recipients = [str(one.address) for one in tx.recipients]
        content = b"" if tx.message is None else bytes(tx.message)
        self.messages.append(ReceivedMessage(str(tx.reverse_path), recipients, content))
        return accept()


class DialogueError(AssertionError):
    """The server did not answer as the transcript says."""


def play(
    transcript: str,
    plugins: Sequence[Plugin | Installed] = (),
    *,
    traps: Sequence[str] = (),
    config: Config = DEFAULT_CONFIG,
    now: str | datetime = "2024-01-01",
    peer: tuple[str, int] = ("192.0.2.1", 50000),
    protocol: str = "smtp",
) -> Played:
    """Play a transcript; raises `DialogueError` at the first reply that differs.

    `traps` are lines of a trap list, `now` what the clock shows at the start, `peer` the client's
    address, `protocol` "smtp" or "lmtp". By default example.com is local and nothing else is
    configured.
    """

    async def run() -> Played:
        clock = VirtualClock(now)
        async with MemoryServer(plugins, traps=traps, config=config, clock=clock) as server:
            client = server.connect(peer, protocol)
            try:
                await client.perform(transcript)
            finally:
                await client.close()
            return Played(client.replies, server.messages, clock.slept)

    return asyncio.run(run())


class MemoryServer:
    """A server without sockets, for one event loop: `async with MemoryServer(...) as server`."""

    def __init__(
        self,
        plugins: Sequence[Plugin | Installed] = (),
        *,
        traps: Sequence[str] = (),
        config: Config = DEFAULT_CONFIG,
        clock: VirtualClock | None = None,
    ) -> None:
        self._plugins = plugins
        self._traps = traps
        self._config = config
        self._clock = clock or VirtualClock()
        self._capture = Capture()

    @property
    def messages(self) -> list[ReceivedMessage]:
        """The messages accepted so far."""
        return self._capture.messages

    async def __aenter__(self) -> Self:
        lists = find_lists(self._config)
        load_lists(lists)
        lists.traps.append(AddressList.from_lines(self._traps, "traps"))
        plugins = [*self._plugins, self._capture]
        self.setup = make_setup(self._config, lists, plugins, self._clock)
        await self.setup.plugins.start()
        self._worker = Connections(self.setup, self._config.smtp)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._worker.drain(1.0)
        await self.setup.router.stop()
        await self.setup.plugins.stop()
        if self.setup.authority is not None:
            self.setup.authority.close()

    def connect(
        self, peer: tuple[str, int] = ("192.0.2.1", 50000), protocol: str = "smtp"
    ) -> "MemoryClient":
        """Open a connection."""
        authority = self.setup.authority if self._config.listen[0].auth else None
        return MemoryClient(Connection(self._worker, protocol=protocol, authority=authority), peer)


class MemoryTransport(asyncio.Transport):
    """What the server takes for a socket: it keeps what is written."""

    def __init__(self, connection: Connection, peer: tuple[str, int]) -> None:
        super().__init__({"peername": peer, "sockname": ("192.0.2.25", 25)})
        self.protocol: asyncio.Protocol = connection
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep what the server sends."""
        self.written += bytes(data)

    def can_write_eof(self) -> bool:
        """Return False: closing is all there is."""
        return False

    def pause_reading(self) -> None:
        """Do nothing: there is no socket to leave unread."""

    def resume_reading(self) -> None:
        """Do nothing, as `pause_reading`."""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have another take what the client sends: TLS."""
        self.protocol = cast("asyncio.Protocol", protocol)

    def close(self) -> None:
        """End the connection; the server is told soon, as it is of a socket's end."""
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        """Close."""
        self.close()


class MemoryClient:
    """A client of a `MemoryServer`; `replies` are those it has read."""

    def __init__(self, connection: Connection, peer: tuple[str, int]) -> None:
        self.replies: list[str] = []
        self._connection = connection
        self._transport = MemoryTransport(connection, peer)
        connection.connection_made(self._transport)

    @property
    def closed(self) -> bool:
        """Whether the connection is closed, by either side."""
        return self._transport.closed

    def send(self, data: bytes) -> None:
        """Send bytes to the server."""
        if not self.closed:
            self._transport.protocol.data_received(data)

    def send_eof(self) -> None:
        """Say that nothing more will be sent."""
        if not self._transport.protocol.eof_received():
            self._transport.close()

    async def reply(self) -> str:
        """Return the next reply, lines separated by line feeds, "" when there will be none."""
        transport = self._transport
        while (match := _REPLY.match(transport.written)) is None:
            if not await self._connection.settled():
                return ""
        transport.written = transport.written[match.end() :]
        reply = match[0].decode("ascii").rstrip("\r\n").replace("\r\n", "\n")
        self.replies.append(reply)
        return reply

    async def expect(self, lines: Sequence[str]) -> None:
        """Compare the next replies with lines of a transcript; raises `DialogueError`."""
        found: list[str] = []
        for expected in lines:
            found = found or (await self.reply()).split("\n")
            if _ONLY_CODE.fullmatch(expected) and found[0].startswith(expected):
                found = []
            elif not _matches(expected, found[0]):
                raise DialogueError(f"expected {expected!r}, found {found[0]!r}")
            else:
                found = found[1:]

    async def perform(self, transcript: str) -> None:
        """Play a transcript; raises `DialogueError`."""
        for speaker, lines in _turns(transcript):
            if speaker == "C":
                self.send("".join(f"{line}\r\n" for line in lines).encode())
            else:
                await self.expect(lines)

    async def close(self) -> None:
        """Close the connection and wait until the server is done with it."""
        self._transport.close()
        await asyncio.sleep(0)
        await self._connection.settled()


class RunningServer:
    """A server on a free port of 127.0.0.1, in a thread of its own, for code without event loop.

        with RunningServer() as server:
            with smtplib.SMTP(*server.address) as client: ...
            assert server.messages

    `plugins`, `traps` and `config` are as for `play`; but for the listener and the data folder,
    which are its own. Its clock shows `now` (None: when it was made) and waiting takes no time, so
    the delay of a trap's refusal does not slow a test down. Entering raises what `Server.start`
    does; leaving waits PATIENCE seconds for clients that are still connected.
    """

    def __init__(
        self,
        plugins: Sequence[Plugin] = (),
        *,
        traps: Sequence[str] = (),
        config: Config = DEFAULT_CONFIG,
        now: str | datetime | None = None,
        protocol: Literal["smtp", "lmtp"] = "smtp",
    ) -> None:
        self._capture = Capture()
        self._plugins = [*plugins, self._capture]
        self._traps = traps
        self._config = config
        self._clock = VirtualClock(datetime.now(UTC) if now is None else now)
        self._protocol = protocol
        self._stack = ExitStack()
        self.address = ("", 0)

    @property
    def messages(self) -> list[ReceivedMessage]:
        """The messages accepted so far: one is here before its client is told so."""
        return self._capture.messages

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            thread = stack.enter_context(ThreadPoolExecutor(1, "gatepost"))
            started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
            ended = thread.submit(asyncio.run, self._serve(Path(folder), started))
            loop, stop = started.result()
            stack.callback(ended.result)
            stack.callback(loop.call_soon_threadsafe, stop.set)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    async def _serve(self, folder: Path, started: "Future[Any]") -> None:
        stop = asyncio.Event()
        server = Server(self._configured(folder), self._plugins, self._clock, patience=PATIENCE)
        try:
            await server.start()
        except BaseException as error:  # noqa: BLE001 - raised where the server was asked for
            started.set_exception(error)
            return
        host, _, port = server.addresses[0][1].rpartition(":")
        self.address = host, int(port)
        started.set_result((asyncio.get_running_loop(), stop))
        await stop.wait()
        await server.stop()

    def _configured(self, folder: Path) -> Config:
        config, change = self._config, msgspec.structs.replace
        traps = folder / "traps"
        traps.write_text("".join(f"{line}\n" for line in self._traps))
        return change(
            config,
            server=change(config.server, data_dir=str(folder)),
            listen=[
                ListenConfig(
                    address=InetAddress("127.0.0.1", 0),
                    protocol=self._protocol,
                    auth=config.listen[0].auth,
                )
            ],
            traps=change(config.traps, lists=[*config.traps.lists, str(traps)]),
        )


def _matches(pattern: str, line: str) -> bool:
    parts = map(re.escape, pattern.split("*"))
    return re.fullmatch(".*".join(parts), line) is not None


def _turns(transcript: str) -> Iterator[tuple[str, list[str]]]:
    """Yield who speaks and the lines, those that follow each other together."""
    turn: tuple[str, list[str]] | None = None
    for number, raw in enumerate(transcript.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise DialogueError(f"line {number}: expected 'C: ' or 'S: ', found {line!r}")
        if turn is not None and turn[0] == match[1]:
            turn[1].append(match[2])
            continue
        if turn is not None:
            yield turn
        turn = match[1], [match[2]]
    if turn is not None:
        yield turn
