"""A server and its clients in memory: no sockets, one event loop.

Everything from the received bytes to the plugins is the same code as in a server with sockets. Only
the socket, the clock and the delivery are replaced. `gatepost try` and `gatepost.testing` use it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Self, cast

import msgspec

from gatepost.config.load import config_from_dict
from gatepost.config.schema import ASKING, Config, RecipientsConfig, RouteConfig, SmtpConfig
from gatepost.ledger.records import Record
from gatepost.lists.addresses import AddressList
from gatepost.net.resolver import Resolver
from gatepost.plugin.base import Installed, Plugin
from gatepost.plugin.lifting import AllowSource
from gatepost.plugin.metrics import MetricsSnapshot
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.registry.registry import Registry
from gatepost.registry.trial import TrialRegistry
from gatepost.server.capture import Capture, MemorySpool, ReceivedMessage
from gatepost.server.connection import Connection
from gatepost.server.connections import Connections
from gatepost.server.listener import ListenerSettings
from gatepost.session.assemble import (
    find_lists,
    load_lists,
    load_plugin_files,
    make_resolver,
    make_setup,
    start_tables,
)
from gatepost.session.dialect import DIALECTS
from gatepost.session.recorder import Recorder
from gatepost.store.memory import MemoryBackend
from gatepost.store.store import OpenedStore
from gatepost.tables.table import Table

# A client can send commands without waiting for replies, which keeps transcripts short.
DEFAULT_CONFIG = Config(
    smtp=SmtpConfig(unauthorised_pipelining="tolerate"),
    recipients=RecipientsConfig(domains=["example.com"]),
    route=[RouteConfig(to="discard:")],
)

# A configuration, or the tables of a configuration file.
ConfigOrTables = Config | Mapping[str, Any]

DEFAULT_PEER = ("192.0.2.1", 50000)

_REPLY = re.compile(rb"(?:\d\d\d-[^\r\n]*\r\n)*\d\d\d [^\r\n]*\r\n")


def trap_list(lines: Sequence[str]) -> AddressList:
    """Return the trap list of a test; raises ValueError for a line that is not an entry."""
    found = AddressList.from_lines(lines, "traps")
    if found.errors:
        raise found.errors[0]
    return found


def make_config(config: ConfigOrTables) -> Config:
    """Return the configuration of a test; a table that a dict lacks is that of DEFAULT_CONFIG.

    Raises `ConfigError` for a dict with errors.
    """
    if isinstance(config, Config):
        return _with_route(config)
    made = config_from_dict(config)
    return msgspec.structs.replace(DEFAULT_CONFIG, **{name: getattr(made, name) for name in config})


def _with_route(config: Config) -> Config:
    """Return the configuration with a route, if only mail servers that ask deliver in it."""
    if config.route or not all(one.protocol in ASKING for one in config.listen):
        return config
    return msgspec.structs.replace(config, route=DEFAULT_CONFIG.route)


class MemoryServer:
    """A server without sockets: `async with MemoryServer(...) as server`.

    `traps` are lines of a trap list; a bad one raises ValueError. `config` is a `Config` or a dict.
    A `Capture` plugin comes last and accepts the messages. Facts go to the log unless there is a
    `recorder`. `resolver` is for routes and plugins, None for that of the configuration. `store` is
    for plugins, None for an empty one in memory. `registry` has the registered traps, None for
    those of the configuration, which then do not change. `allowed` has the entries of
    `gatepost allow`, None for those of the configuration. `tables` are used instead of those of the
    configuration with the same specification. `setup` and `connections` are those of the
    server, for tests of the server.
    """

    def __init__(
        self,
        plugins: Sequence[Plugin | Installed] = (),
        *,
        traps: Sequence[str] = (),
        config: ConfigOrTables = DEFAULT_CONFIG,
        clock: VirtualClock | None = None,
        recorder: Recorder | None = None,
        records: Callable[[Record], None] | None = None,
        resolver: Resolver | None = None,
        store: OpenedStore | None = None,
        registry: Registry | None = None,
        tables: Mapping[str, Table] | None = None,
        allowed: AllowSource | None = None,
    ) -> None:
        self._plugins = plugins
        self._traps = trap_list(traps)
        self._config = make_config(config)
        self._clock = clock or VirtualClock()
        self._recorder = recorder
        self._records = records
        self._own_resolver = make_resolver(self._config)
        self._resolver: Resolver = self._own_resolver if resolver is None else resolver
        memory = OpenedStore(MemoryBackend(clock=self._clock.time), "memory")
        self._store = memory if store is None else store
        self._registry = registry
        self._tables = tables
        self._allowed = allowed
        self._capture = Capture()
        self._spool = MemorySpool(self._capture.messages)

    @property
    def submitted(self) -> list[ReceivedMessage]:
        """The messages that plugins have submitted so far."""
        return self._spool.submitted

    @property
    def metrics(self) -> MetricsSnapshot:
        """The metrics of the plugins at this moment."""
        return self.setup.plugins.metrics()

    async def advance(self, seconds: float) -> None:
        """Move the clock on; periodic jobs of plugins run at their times."""
        clock, end = self._clock, self._clock.time() + seconds
        await asyncio.sleep(0)  # jobs that have just been created wait now
        while (due := clock.next_alarm) is not None and due <= end:
            clock.move_to(due)
            await asyncio.sleep(0)  # those that wait for this time run now
            await self.setup.plugins.settle()
        clock.move_to(end)

    @property
    def messages(self) -> list[ReceivedMessage]:
        """The messages accepted so far."""
        return self._capture.messages

    async def __aenter__(self) -> Self:
        lists = find_lists(self._config)
        load_lists(lists)
        lists.traps.append(self._traps)
        lists.registry = self._registry or TrialRegistry(lists.registry)
        lists.allowed = self._allowed or lists.allowed
        plugins = [*self._plugins, self._capture]
        self.setup = make_setup(
            self._config,
            lists,
            plugins,
            self._clock,
            recorder=self._recorder,
            records=self._records,
            resolver=self._resolver,
            store=self._store,
            tables=self._tables,
        )
        self.setup.memory = self._spool
        load_plugin_files(lists, self.setup.plugins)
        await self.setup.plugins.start()
        await start_tables(self.setup)
        await self.setup.router.start()
        self.connections = Connections(self.setup, self._config.smtp)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.connections.drain(1.0)
        await self.setup.router.stop()
        await self.setup.plugins.stop()
        await self.setup.tables.stop()
        await self._own_resolver.close()
        if self.setup.authority is not None:
            self.setup.authority.close()

    def connect(
        self, peer: tuple[str, int] = DEFAULT_PEER, protocol: str = "", listen: str = ""
    ) -> "MemoryClient":
        """Open a connection from the address `peer`.

        `listen` is the name of a listener, by default the first one. `protocol` is "smtp" or
        "lmtp", by default that of the named listener, or else SMTP. Raises KeyError for an unknown
        name.
        """
        listener = self._config.listen[0]
        if listen:
            listener = {one.name: one for one in self._config.listen}[listen]
            protocol = protocol or listener.protocol
        settings = ListenerSettings(
            DIALECTS[protocol or "smtp"].for_clients,
            authority=self.setup.authority if listener.auth else None,
            completes=listener.add_missing_headers,
            name=listen,
        )
        return MemoryClient(Connection(self.connections, settings), peer, self.advance)


class MemoryTransport(asyncio.Transport):
    """The transport that the server uses instead of a socket; `written` has the server's bytes."""

    def __init__(self, connection: Connection, peer: tuple[str, int]) -> None:
        super().__init__({"peername": peer, "sockname": ("192.0.2.25", 25)})
        self.protocol = cast("asyncio.Protocol", connection)
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep the bytes from the server."""
        self.written += bytes(data)

    def can_write_eof(self) -> bool:
        """Return False: the transport can only be closed."""
        return False

    def pause_reading(self) -> None:
        """Do nothing: there is no socket to leave unread."""

    def resume_reading(self) -> None:
        """Do nothing, like `pause_reading`."""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Send further data to another protocol, for TLS."""
        self.protocol = cast("asyncio.Protocol", protocol)

    def close(self) -> None:
        """Close the connection; the protocol is notified in the next turn of the loop."""
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        """Close the connection."""
        self.close()


class MemoryClient:
    """A client of a `MemoryServer`; `replies` has those it has read.

    `advance` moves the clock of the server on, see `MemoryServer.advance`.
    """

    def __init__(
        self,
        connection: Connection,
        peer: tuple[str, int],
        advance: Callable[[float], Awaitable[None]],
    ) -> None:
        self.replies: list[str] = []
        self.advance = advance
        self._connection = connection
        self._transport = MemoryTransport(connection, peer)
        connection.connection_made(self._transport)

    @property
    def closed(self) -> bool:
        """Return whether either side has closed the connection."""
        return self._transport.closed

    def send(self, data: bytes) -> None:
        """Send bytes to the server."""
        if not self.closed:
            self._transport.protocol.data_received(data)

    def send_eof(self) -> None:
        """Send the end of the client's data."""
        if not self._transport.protocol.eof_received():
            self._transport.close()

    async def reply(self) -> str:
        """Return the next reply, its lines separated by line feeds, or "" if none will come."""
        transport = self._transport
        while (match := _REPLY.match(transport.written)) is None:
            if not await self._connection.pump.until_idle():
                return ""
        transport.written = transport.written[match.end() :]
        reply = match[0].decode("ascii").rstrip("\r\n").replace("\r\n", "\n")
        self.replies.append(reply)
        return reply

    async def close(self) -> None:
        """Close the connection and wait until the server has finished with it."""
        self._transport.close()
        await asyncio.sleep(0)
        await self._connection.pump.until_idle()
