"""Play the records of a ledger under another configuration.

The records are read one at a time, the oldest first. A record that is invalid, or that the server
cannot play, is counted. What was decided by a rule that is never asked here is not compared.
"""

from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import msgspec

from gatepost.checks.replay.comparison import Comparison
from gatepost.checks.replay.findings import Collector, Findings
from gatepost.checks.replay.isolation import enclose, isolated
from gatepost.checks.replay.outcome import of_connection, of_transaction, refusals
from gatepost.checks.replay.player import FactsRecorder, Player, playable
from gatepost.checks.replay.stand_ins import NotedStore, Nowhere, ReplayClock, UnknownResolver
from gatepost.checks.replay.uses import Uses
from gatepost.config.schema import Config
from gatepost.ledger.records import Connection, Record, Transaction
from gatepost.plugin.host import PluginError
from gatepost.plugin.services import namespace
from gatepost.server.memory import MemoryServer
from gatepost.session.assemble import load_plugins
from gatepost.store.store import OpenedStore

# How connections end before a rule or plugin is asked; so does a limit, with a reply.
_UNASKED = frozenset({"early-talker", "tls-failed", "proxy-refused", "shutdown", "administrator"})
_NO_SESSION = "the connection ended before a session began, or by a limit"
_NO_NAME = "the name in HELO was not recorded"


class Replay:
    """The replay of records under `config`; `findings` are those so far.

    `progress` is called with the time of each record.
    """

    def __init__(self, config: Config, progress: Callable[[float], None] | None = None) -> None:
        self._config = playable(config)
        self._progress = progress
        self._uses = Uses()
        self._collector = Collector()
        self._comparison = Comparison(self._collector, self._uses)
        self._clock = ReplayClock(datetime.fromtimestamp(0, UTC))

    @property
    def findings(self) -> Findings:
        """The result so far."""
        return self._collector.findings(self._uses)

    async def run(self, records: Iterable[Record]) -> None:
        """Play records; raises `SetupError` or `PluginError` if the server cannot start."""
        with isolated(self._uses):
            async with AsyncExitStack() as stack:
                player = await self._start(stack)
                await self._play_all(player, records)

    async def _start(self, stack: AsyncExitStack) -> Player:
        """Start a server, without the plugins that cannot start in a replay."""
        while True:
            unable = len(self._uses.unable)
            kept: list[Record] = []
            recorder = FactsRecorder(self._config)
            try:
                server = await stack.enter_async_context(self._server(recorder, kept))
            except PluginError:
                if len(self._uses.unable) == unable:
                    raise
            else:
                server.setup.calls_ahead = False
                server.setup.memory = Nowhere()
                return Player(server, self._config, kept, recorder)

    def _server(self, recorder: FactsRecorder, kept: list[Record]) -> MemoryServer:
        store = NotedStore(self._uses, self._clock.time)
        loaded = load_plugins(self._config)
        installed = [one for one in loaded if one.plugin.name not in self._uses.unable]
        for one in installed:
            enclose(one.plugin, self._uses)
            store.plugins[namespace(one.plugin.name)] = one.plugin.name
        return MemoryServer(
            installed,
            config=msgspec.structs.replace(self._config, plugin=[]),
            clock=self._clock,
            recorder=recorder,
            records=kept.append,
            resolver=UnknownResolver(self._uses),
            store=OpenedStore(store, "memory"),
        )

    async def _play_all(self, player: Player, records: Iterable[Record]) -> None:
        counts = self._collector.counts
        for record in records:
            if isinstance(record, Connection | Transaction):
                counts.since = counts.since or record.time
                counts.until = max(counts.until, record.time)
                try:
                    await self._play(player, record)
                except Exception as error:  # noqa: BLE001 - the other records are played too
                    problem = f"{record.ref}: {type(error).__name__}: {error}"
                    self._collector.fail(problem)
            if self._progress is not None:
                self._progress(record.time)
        counts.interrupted = False

    async def _play(self, player: Player, record: Connection | Transaction) -> None:
        self._clock.set(record.time)
        self._uses.now.clear()
        if isinstance(record, Connection):
            self._collector.counts.sessions += 1
            if not record.transactions:
                await self._connection(player, record)
        elif not record.plugin:
            ends = record.result != "abandoned" or not of_transaction(record).passes
            played = await player.transaction(record, ends=ends)
            self._comparison.transaction(record, played)

    async def _connection(self, player: Player, record: Connection) -> None:
        """Play a connection without a transaction, with the name in HELO that was refused."""
        old = of_connection(record)
        refused = [one.about for one in refusals(record.answers) if one.hook == "helo"]
        name = record.client.helo or next(iter(refused), "")
        if record.end in _UNASKED or record.reply:
            self._collector.doubt(_NO_SESSION)
        elif old.hook == "helo" and not name:
            self._collector.doubt(_NO_NAME)
        else:
            self._comparison.connection(record, await player.connection(record, name))
