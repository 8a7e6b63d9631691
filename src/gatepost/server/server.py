"""A whole server in one process: lists, plugins, listeners, and their orderly end.

    async with Server(config) as server:
        print(server.addresses)

Everything that can fail does so in `start`, and then leaves nothing behind.
"""

import asyncio
import functools
import socket
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from gatepost.config.schema import Config, Listen
from gatepost.counts.memory import Slot
from gatepost.lists.entry import LineError
from gatepost.lists.source import Change
from gatepost.lists.watch import ListWatcher
from gatepost.model.session import Endpoint
from gatepost.net.sockets import BACKLOG, bind, bound_address, single_address
from gatepost.net.tls import MODES, Contents, ListenerTls, key_pairs
from gatepost.plugin.base import Plugin
from gatepost.plugin.clock import Clock
from gatepost.queue.queue import Queue
from gatepost.queue.spool.folder import files as spool_files
from gatepost.queue.spool.schema import VersionError
from gatepost.server.connection import Connection
from gatepost.server.connections import SWEEP, Connections
from gatepost.server.proxy import ProxyHandshake
from gatepost.session.assemble import (
    SetupError,
    find_lists,
    load_key_pairs,
    load_lists,
    make_setup,
)
from gatepost.session.setup import Setup

# Turns of the event loop that a connection needs, at most, from accept to its protocol object.
_TURNS = 5

_log = structlog.get_logger("gatepost.server")


class Server:
    """Accepts mail as `config` says; `plugins` come after those of the configuration.

    `patience` is how many seconds a stop waits for messages that are on their way, None for the
    configuration's `stop_timeout`. `sockets` has the open sockets of each listener, for who has
    bound them already; they are closed in the end. `seat` is where connections are counted, None
    where no other process has to see that. `contents` has the certificates and keys that somebody
    else has read for us. `addresses` are (protocol, address) pairs once it has started.
    """

    def __init__(
        self,
        config: Config,
        plugins: Sequence[Plugin] = (),
        clock: Clock | None = None,
        *,
        patience: float | None = None,
        sockets: Sequence[Sequence[socket.socket]] | None = None,
        slot: Slot | None = None,
        contents: Contents | None = None,
    ) -> None:
        self._config = config
        self._plugins = plugins
        self._clock = clock
        self._patience = config.server.stop_timeout if patience is None else patience
        self._sockets = sockets
        self._slot = slot
        self._contents = contents
        self._listeners: list[asyncio.AbstractServer] = []
        self._worker: Connections | None = None
        self._stack = AsyncExitStack()
        self.addresses: list[tuple[str, str]] = []

    @property
    def turns(self) -> int:
        """Return a counter that moves with progress; any thread can read it."""
        return 0 if self._worker is None else self._worker.turns

    async def start(self) -> None:
        """Begin to accept connections.

        Raises `SetupError`, `PluginError` or `ListenFailedError` if it cannot.
        """
        async with AsyncExitStack() as stack:
            lists = find_lists(self._config)
            await asyncio.to_thread(load_lists, lists)
            folder = await asyncio.to_thread(_make_folder, self._config.data_dir / "tmp")
            setup = make_setup(self._config, lists, self._plugins, self._clock, folder)
            await asyncio.to_thread(_report, setup)
            if setup.authority is not None:
                stack.callback(setup.authority.close)
            await setup.plugins.start()
            stack.push_async_callback(setup.plugins.stop)
            stack.push_async_callback(setup.router.stop)
            watcher = ListWatcher(lists.files, _list_changed)
            watcher.start()
            stack.push_async_callback(watcher.stop)
            await self._run_queue(setup, stack)
            tls = await self._certificates(stack)
            worker = Connections(setup, self._config.smtp, slot=self._slot)
            stack.push_async_callback(worker.drain, self._patience)
            await self._listen(worker, tls, stack)
            self._worker = worker
            self._stack = stack.pop_all()

    async def _run_queue(self, setup: Setup, stack: AsyncExitStack) -> None:
        """Have a queue; start it if a route goes by way of it, or mail is left in the spool.

        Else it starts when there is mail for it, as when a target takes a message for some.
        """
        folder = self._config.data_dir / "spool"
        queue = setup.spool = Queue(
            self._config.queue,
            folder,
            setup.router,
            setup.clock,
            hostname=setup.hostname,
            subaddress=setup.subaddress,
        )
        stack.push_async_callback(queue.stop, self._patience)
        if any(route.spools for route in setup.router.routes) or spool_files(folder):
            try:
                await queue.start()
            except (OSError, sqlite3.Error, VersionError) as error:
                raise SetupError([f"{folder}: the spool cannot be used: {error}"]) from error

    async def _certificates(self, stack: AsyncExitStack) -> Mapping[str, ListenerTls]:
        """Return what listeners need for TLS by its mode, with a watch on the files.

        It is not the lists' watch: a long list must not hold up a certificate.
        """
        pairs = key_pairs(self._config, self._contents)
        if not pairs:
            return {}
        await asyncio.to_thread(load_key_pairs, pairs)
        watcher = ListWatcher(pairs, _certificate_changed)
        watcher.start()
        stack.push_async_callback(watcher.stop)
        return {mode: ListenerTls(mode, pairs) for mode in MODES}

    async def _listen(
        self, worker: Connections, tls: Mapping[str, ListenerTls], stack: AsyncExitStack
    ) -> None:
        sockets = self._sockets
        if sockets is None:
            sockets = [[bind(one.address, self._config.base)] for one in self._config.listen]
        addresses: list[tuple[str, str]] = []
        for listen, of_address in zip(self._config.listen, sockets, strict=True):
            for sock in of_address:
                factory = _protocol(worker, listen, single_address(sock), tls.get(listen.tls))
                listener = await worker.loop.create_server(factory, sock=sock, backlog=BACKLOG)
                stack.callback(listener.close)
                self._listeners.append(listener)
            addresses.append((listen.protocol, bound_address(of_address[0])))
        self.addresses = addresses

    async def retire(self) -> None:
        """Accept no more, and wait until all sessions have ended, `stop_timeout` at most.

        Sessions go on as if nothing had happened. `stop` is still to be called.
        """
        for listener in self._listeners:
            listener.close()
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        if self._worker is not None:
            await _all_gone(self._worker, self._patience)

    async def stop(self) -> None:
        """Accept no more, let messages under way come to their end, and clean up."""
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


def _protocol(
    worker: Connections, listen: Listen, local: Endpoint | None, tls: ListenerTls | None
) -> Callable[[], asyncio.Protocol]:
    """Return what makes a listener's protocol; only where somebody is trusted it has to ask who."""
    if listen.proxy_from or listen.xclient_from:
        return functools.partial(ProxyHandshake, worker, listen, local, tls)
    make = functools.partial(Connection, worker, local, listen.protocol, tls)
    return functools.partial(make, authority=worker.setup.authority) if listen.auth else make


async def _all_gone(worker: Connections, patience: float) -> None:
    """Wait for sessions, and for those that begin when a PROXY header comes, to end."""
    deadline = worker.loop.time() + patience
    while (worker.connections or worker.expected) and (left := deadline - worker.loop.time()) > 0:
        if worker.connections:
            await worker.emptied(left)
        else:  # nobody says when a header comes; SWEEP is how exactly it is timed anyway
            await asyncio.sleep(min(SWEEP, left))


def _make_folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _report(setup: Setup) -> None:
    """Log what looks wrong in the lists."""
    for source in (*setup.domains, *setup.known, *setup.traps.table.lists):
        _report_lines(source.current.errors)
    for unarmed in setup.traps.table.report():
        _log.warning("trap not armed", problem=str(unarmed))


def _list_changed(change: Change) -> None:
    path = str(change.path)
    if change.problem:
        _log.error("list not read", path=path, problem=change.problem)
    elif change.pending:
        _log.info("list changed, new version in preparation", path=path)
    else:
        _log.info("list read", path=path, entries=change.entries)
        _report_lines(change.errors)


def _certificate_changed(change: Change) -> None:
    path = str(change.path)
    if change.problem:
        _log.error("certificate not read", path=path, problem=change.problem)
    else:
        _log.info("certificate read", path=path)


def _report_lines(errors: Iterable[LineError]) -> None:
    for error in errors:
        _log.warning("list line skipped", problem=str(error))
