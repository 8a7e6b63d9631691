"""A complete server in one process: lists, plugins, listeners, and their orderly end.

    async with Server(config) as server:
        print(server.addresses)

`start` raises everything that can fail, and leaves nothing running then.
"""

import asyncio
import functools
import socket
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from gatepost.config.schema import Config, ListenConfig
from gatepost.counts.memory import Slot
from gatepost.delivery.target import Target
from gatepost.disk.durable import ensure_private
from gatepost.ledger.records import Record
from gatepost.ledger.store import LedgerError
from gatepost.lists.entry import LineError
from gatepost.lists.file import ListFile
from gatepost.lists.reloadable import FileChange
from gatepost.lists.watch import FileWatcher
from gatepost.log.logger import get_logger
from gatepost.metrics.status import Status
from gatepost.model.endpoint import Endpoint
from gatepost.net.resolver import Resolver
from gatepost.net.sockets import BACKLOG, bind, bound_address, single_address
from gatepost.net.tls import Contents, KeyPair, ListenerTls, TlsKind, key_pairs, kind_of, kinds_of
from gatepost.plugin.base import Plugin
from gatepost.plugin.clock import Clock, SystemClock
from gatepost.plugin.host import PluginHost
from gatepost.plugin.metrics import MetricsSnapshot
from gatepost.queue.on_demand import QueueOnDemand
from gatepost.queue.recording import Keep
from gatepost.queue.spool.folder import files as spool_files
from gatepost.queue.spool.sql.schema import VersionError
from gatepost.registry.mailboxes import retire_mailboxes
from gatepost.server.allowing import record_changes
from gatepost.server.connections import SWEEP, Connections
from gatepost.server.control_socket import ControlSocket
from gatepost.server.figures import Figures
from gatepost.server.listener import ListenerSettings
from gatepost.server.protocols import PROTOCOLS
from gatepost.session.assemble import (
    Lists,
    SetupError,
    find_lists,
    load_key_pairs,
    load_lists,
    load_plugin_files,
    make_resolver,
    make_setup,
    make_store,
    start_tables,
)
from gatepost.session.dialect import DIALECTS
from gatepost.session.recorder import Recorder
from gatepost.session.recording import fan_out
from gatepost.session.setup import Setup
from gatepost.session.submission import Submission
from gatepost.store.store import OpenedStore
from gatepost.tables.table import Table

if TYPE_CHECKING:
    from gatepost.metrics.counting import Counting
    from gatepost.queue.queue import Queue

# Turns of the event loop that a connection needs, at most, from accept to its protocol object.
_TURNS = 5

_log = get_logger("gatepost.server")


class Server:
    """Accepts mail by `config`; `plugins` come after those of the configuration.

    `stop_timeout` is how many seconds a stop waits for messages in transit, None for the
    configuration's `stop_timeout`. `sockets` has the open sockets of each listener if they are
    already bound; they are closed in the end. `slot` is where connections are counted, None if no
    other process shares the counts. `contents` has certificates and keys that were read before
    privileges were dropped. Facts go to the log unless there is a `recorder`. `records` is
    called in the event loop with each record of the ledger. With `ledger` they are written, as
    `[ledger]` configures. With `counts`, `exposition` has the figures of records too. `targets` are
    delivery targets by scheme, in addition to those of Gatepost and of installed packages.
    `resolver` is for routes and plugins, `store` for plugins, None for that of the configuration;
    these are not closed. `tables` are used instead of those of the configuration with the same
    specification. With `late_traps`, the server does not wait for the index of a very big
    trap list. With `control`, `gatepost sessions` shows and ends the sessions of this server.
    `addresses` are (protocol, address) pairs once the server has started.
    """

    def __init__(
        self,
        config: Config,
        plugins: Sequence[Plugin] = (),
        clock: Clock | None = None,
        *,
        stop_timeout: float | None = None,
        sockets: Sequence[Sequence[socket.socket]] | None = None,
        slot: Slot | None = None,
        contents: Contents | None = None,
        recorder: Recorder | None = None,
        records: Callable[[Record], None] | None = None,
        ledger: bool = False,
        counts: bool = False,
        targets: Mapping[str, type[Target]] | None = None,
        resolver: Resolver | None = None,
        store: OpenedStore | None = None,
        tables: Mapping[str, Table] | None = None,
        late_traps: bool = False,
        control: bool = False,
    ) -> None:
        self._control = control
        self._late_traps = late_traps
        self._config = config
        self._plugins = plugins
        self._clock = clock
        self._stop_timeout = config.server.stop_timeout if stop_timeout is None else stop_timeout
        self._sockets = sockets
        self._slot = slot
        self._contents = contents
        self._recorder = recorder
        self._records = records
        self._ledger = ledger
        self._counts = counts
        self._targets = targets
        self._resolver = resolver
        self._store = store
        self._tables = tables
        self._listeners: list[asyncio.AbstractServer] = []
        self._connections: Connections | None = None
        self._host: PluginHost | None = None
        self._figures: Figures | None = None
        self._stack = AsyncExitStack()
        self.addresses: list[tuple[str, str]] = []

    @property
    def turns(self) -> int:
        """Return a counter that moves with progress; any thread can read it."""
        return 0 if self._connections is None else self._connections.turns.count

    @functools.cached_property
    def counting(self) -> "Counting":
        """The figures of `exposition`; its method `record` counts a record of the ledger."""
        from gatepost.metrics.counting import Counting  # noqa: PLC0415 - a worker does not count

        return Counting(clock=(self._clock or SystemClock()).time)

    @property
    def metrics(self) -> MetricsSnapshot:
        """The metrics of the plugins at this moment; empty before the start."""
        return MetricsSnapshot() if self._host is None else self._host.metrics()

    def status(self, dropped: int = 0) -> Status:
        """Return the figures of this process; raises RuntimeError before the start.

        `dropped` are the records that could not be passed to the ledger.
        """
        if self._figures is None:
            raise RuntimeError("the server has not started")
        return self._figures.collect(dropped)

    async def measure(self) -> None:
        """Measure the queue and the process for the next `status`, in a thread."""
        if self._figures is not None:
            await asyncio.to_thread(self._figures.measure)

    async def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Return the figures of this process for Prometheus, and the media type.

        `accept` is the field Accept of the request, which may ask for OpenMetrics. Raises
        RuntimeError before the start.
        """
        from gatepost.metrics.exposition import expose  # noqa: PLC0415 - takes 30 ms

        await self.measure()
        self.counting.status(self.status())
        content, media_type = expose(self.counting, accept)
        return content, media_type

    async def start(self) -> None:
        """Start to accept connections.

        Raises `SetupError`, `PluginError` or `ListenFailedError` if it cannot.
        """
        async with AsyncExitStack() as stack:
            lists = find_lists(self._config)
            await asyncio.to_thread(load_lists, lists, late_traps=self._late_traps)
            folder = await asyncio.to_thread(ensure_private, self._config.data_dir / "tmp")
            store = self._open_store(stack)
            resolver = self._open_resolver(stack)
            worker = 0 if self._slot is None else self._slot.number
            records = self._open_ledger(stack)
            setup = make_setup(
                self._config,
                lists,
                self._plugins,
                self._clock,
                folder,
                recorder=self._recorder,
                records=records,
                targets=self._targets,
                resolver=resolver,
                store=store,
                tables=self._tables,
                worker=worker,
            )
            await asyncio.to_thread(load_plugin_files, lists, setup.plugins)
            stack.push_async_callback(asyncio.to_thread, lists.registry.close)
            await asyncio.to_thread(_report, lists)
            await self._report_unarmed(setup, stack)
            await asyncio.to_thread(retire_mailboxes, setup.traps.table, lists.registry)
            if setup.authority is not None:
                stack.callback(setup.authority.close)
            self._host = setup.plugins
            await _start_plugins(setup, stack)
            stack.push_async_callback(setup.router.stop)
            await setup.router.start()
            watcher = _watcher(setup, lists, records)
            watcher.start()
            stack.push_async_callback(watcher.stop)
            await self._run_queue(setup, stack)
            if self._config.quarantine.digest:
                self._run_digest(setup, stack)
            pairs = await self._certificates(stack)
            tls = {kind: ListenerTls(kind, pairs) for kind in kinds_of(self._config) if pairs}
            connections = await self._make_connections(setup, worker, stack)
            await self._listen(connections, tls, stack)
            self._connections = connections
            self._figures = Figures(
                setup,
                connections,
                lists=[*lists.files, *setup.tables.files],
                certificates=pairs,
                store=store,
                resolver=resolver,
                worker=worker,
            )
            self._stack = stack.pop_all()

    async def _make_connections(
        self, setup: Setup, worker: int, stack: AsyncExitStack
    ) -> Connections:
        """Return the connections; the control socket, if there is one, is closed after the last."""
        connections = Connections(setup, self._config.smtp, slot=self._slot)
        if self._control:
            control = ControlSocket(connections, self._config.data_dir, worker)
            stack.push_async_callback(control.stop)
            await control.start()
        stack.push_async_callback(connections.drain, self._stop_timeout)
        return connections

    async def _report_unarmed(self, setup: Setup, stack: AsyncExitStack) -> None:
        """Log the traps that have no effect, during the start or after it, as the lists."""
        report = asyncio.create_task(asyncio.to_thread(_report_unarmed, setup))
        stack.push_async_callback(asyncio.wait, [report])
        if not self._late_traps:
            await report

    def _open_ledger(self, stack: AsyncExitStack) -> Keep | None:
        """Return where records go to; raises `SetupError` if the ledger cannot be used."""
        sinks = [] if self._records is None else [self._records]
        if self._counts:
            sinks.append(self.counting.record)
        if self._ledger:
            from gatepost.server.ledger_thread import LedgerThread  # noqa: PLC0415 - likewise

            try:
                thread = LedgerThread(self._config, self.counting)
            except (LedgerError, OSError) as error:
                raise SetupError([f"ledger: {error}"]) from error
            stack.push_async_callback(thread.stop)
            sinks.append(thread.add)
        return fan_out(sinks) if sinks else None

    def _open_resolver(self, stack: AsyncExitStack) -> Resolver:
        if self._resolver is not None:
            return self._resolver
        resolver = make_resolver(self._config)
        stack.push_async_callback(resolver.close)
        return resolver

    def _open_store(self, stack: AsyncExitStack) -> OpenedStore:
        if self._store is not None:
            return self._store
        store = make_store(self._config, self._clock or SystemClock())
        stack.push_async_callback(store.close)
        return store

    async def _run_queue(self, setup: Setup, stack: AsyncExitStack) -> None:
        """Create the queue; start it if a route uses it or the spool holds mail.

        Otherwise it starts with the first message for it, such as one that a target has taken for
        some recipients only.
        """
        folder = self._config.data_dir / "spool"
        make = functools.partial(_make_queue, self._config, folder, setup)
        queue = setup.queue = QueueOnDemand(make)
        stack.push_async_callback(queue.stop, self._stop_timeout)
        if any(route.spools for route in setup.router.routes) or spool_files(folder):
            try:
                await queue.start()
            except (OSError, sqlite3.Error, VersionError) as error:
                raise SetupError([f"{folder}: the spool cannot be used: {error}"]) from error

    def _run_digest(self, setup: Setup, stack: AsyncExitStack) -> None:
        """Send the list of messages in quarantine once a day."""
        from gatepost.server.digest import Digest  # noqa: PLC0415 - most servers do not use it

        digest = Digest(
            self._config.quarantine,
            self._config.data_dir,
            setup.hostname,
            clock=setup.clock,
            outbox=Submission(setup),
        )
        task = asyncio.create_task(digest.run(), name="digest of the quarantine")
        stack.push_async_callback(asyncio.wait, [task])
        stack.callback(task.cancel)

    async def _certificates(self, stack: AsyncExitStack) -> Sequence[KeyPair]:
        """Return the certificates of all listeners; the files are watched.

        The watch is not that of the lists: a long list must not delay a certificate.
        """
        pairs = key_pairs(self._config, self._contents)
        if not pairs:
            return ()
        await asyncio.to_thread(load_key_pairs, pairs)
        watcher = FileWatcher(pairs, _certificate_changed)
        watcher.start()
        stack.push_async_callback(watcher.stop)
        return pairs

    async def _listen(
        self, connections: Connections, tls: Mapping[TlsKind, ListenerTls], stack: AsyncExitStack
    ) -> None:
        sockets = self._sockets
        if sockets is None:
            sockets = [[bind(one.address, self._config.base)] for one in self._config.listen]
        addresses: list[tuple[str, str]] = []
        for listen, of_address in zip(self._config.listen, sockets, strict=True):
            for sock in of_address:
                certificates = tls.get(kind_of(self._config, listen))
                factory = _protocol(connections, listen, single_address(sock), certificates)
                listener = await connections.loop.create_server(factory, sock=sock, backlog=BACKLOG)
                stack.callback(listener.close)
                self._listeners.append(listener)
            if of_address:
                addresses.append((listen.protocol, bound_address(of_address[0])))
        self.addresses = addresses

    async def retire(self) -> None:
        """Accept no more, and wait until all sessions have ended, `stop_timeout` at most.

        Sessions go on unchanged. Call `stop` afterwards.
        """
        for listener in self._listeners:
            listener.close()
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        if self._connections is not None:
            await _all_gone(self._connections, self._stop_timeout)

    async def stop(self) -> None:
        """Accept no more, finish messages in transit, and clean up."""
        await self._stack.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()


async def _start_plugins(setup: Setup, stack: AsyncExitStack) -> None:
    """Start the plugins, and the tables that they and the settings have opened."""
    stack.push_async_callback(setup.tables.stop)
    await setup.plugins.start()
    stack.push_async_callback(setup.plugins.stop)
    await start_tables(setup)


def _make_queue(config: Config, folder: Path, setup: Setup) -> "Queue":
    from gatepost.queue.queue import Queue  # noqa: PLC0415 - most servers do not use it

    return Queue(
        config.queue,
        folder,
        setup.router,
        setup.clock,
        hostname=setup.hostname,
        subaddress=setup.subaddress,
        is_local=setup.is_local,
        quarantine=config.quarantine,
        recorder=setup.recorder,
        added_fields=setup.plugins.fields_of_own_mail,
    )


def _protocol(
    connections: Connections, listen: ListenConfig, local: Endpoint | None, tls: ListenerTls | None
) -> Callable[[], asyncio.Protocol]:
    """Return the factory of a listener's protocol objects."""
    authority = connections.setup.authority if listen.auth else None
    settings = ListenerSettings(
        DIALECTS[listen.protocol],
        tls,
        authority,
        local,
        completes=listen.add_missing_headers,
        name=listen.name,
        accept_from=listen.accept_from,
    )
    return PROTOCOLS[listen.protocol](connections, listen, settings)


async def _all_gone(connections: Connections, stop_timeout: float) -> None:
    """Wait for sessions to end, and for those that start when a PROXY header comes."""
    deadline = connections.loop.time() + stop_timeout
    now = connections.loop.time
    while (connections.members or connections.pending) and (left := deadline - now()) > 0:
        if connections.members:
            await connections.emptied(left)
        else:  # there is no event for a header; SWEEP is the precision of its time-out
            await asyncio.sleep(min(SWEEP, left))


def _report(lists: Lists) -> None:
    """Log the errors of the lists."""
    for file in lists.all_files:
        _report_lines(file.current.errors)
    for late in (file for file in lists.traps if isinstance(file, ListFile) and file.is_late):
        _log.warning("trap list not in force", path=str(late.path), entries=len(late.current))


def _report_unarmed(setup: Setup) -> None:
    """Log the traps that have no effect; this reads all lists."""
    for unarmed in setup.traps.table.unarmed_entries():
        _log.warning("trap not armed", problem=str(unarmed))


def _watcher(setup: Setup, lists: Lists, records: Keep | None) -> FileWatcher:
    """Return what follows the files of lists and tables."""
    record_changes(lists.allowed, records)
    watched = [*lists.all_files, *setup.tables.files]
    return FileWatcher(watched, functools.partial(_list_changed, setup, lists))


def _list_changed(setup: Setup, lists: Lists, change: FileChange) -> None:
    path = str(change.path)
    if change.problem:
        _log.error("list reload failed", path=path, problem=change.problem)
    elif change.pending:
        _log.info("list reload started", path=path)
    else:
        _log_version(change)
        _report_lines(change.errors)
        if change.path in {file.path for file in lists.files if file in setup.known}:
            work = functools.partial(retire_mailboxes, setup.traps.table, lists.registry)
            asyncio.get_running_loop().run_in_executor(None, work)


def _log_version(change: FileChange) -> None:
    path = str(change.path)
    if change.late is None:
        _log.info("list reloaded", path=path, entries=change.entries)
    else:
        late = round(change.late, 1)
        _log.warning("trap list in force", path=path, entries=change.entries, seconds=late)


def _certificate_changed(change: FileChange) -> None:
    path = str(change.path)
    if change.problem:
        _log.error("certificate reload failed", path=path, problem=change.problem)
    else:
        _log.info("certificate reloaded", path=path)


def _report_lines(errors: Iterable[LineError]) -> None:
    for error in errors:
        _log.warning("list line skipped", problem=str(error))
