"""A server on a real socket, for tests of programs that send mail."""

import asyncio
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

import msgspec

from gatepost.config.listen import InetAddress
from gatepost.config.load import check
from gatepost.config.schema import Config, ListenConfig
from gatepost.net.resolver import Resolver
from gatepost.plugin.base import Plugin
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.server.capture import Capture, ReceivedMessage
from gatepost.server.memory import DEFAULT_CONFIG, ConfigOrTables, make_config, trap_list
from gatepost.server.server import Server
from gatepost.tables.table import Table
from gatepost.testing.resolver import FakeResolver
from gatepost.testing.secured import with_certificate, with_users
from gatepost.testing.store import MemoryStore

# Seconds that the end of a test waits for connected clients.
STOP_TIMEOUT = 0.1
# Seconds that the server may take to start, and to stop. A plugin that hangs exceeds it.
LIMIT = 60.0

_Running = tuple[asyncio.AbstractEventLoop, asyncio.Event]
_Started = Future[_Running]


class RunningServer:
    """A server on a free port of 127.0.0.1, in a separate thread.

        with RunningServer() as server:
            with smtplib.SMTP(*server.address) as client: ...
            assert server.messages

    `plugins`, `traps`, `config`, `resolver`, `store` and `tables` are as for `play`, except that
    the server has its own listener and data folder. The clock shows `now` (by default the time at
    which the object was made). Waiting takes no time, so the delay of a refusal does not slow a
    test down. A dict as `config` raises `ConfigError` if it has errors, a bad line of `traps`
    ValueError.

    `domains` are the local domains; `["*"]` accepts every recipient. `tls` is that of the listener;
    without a certificate in `config` there is a self-signed one, which `certificate` has as PEM.
    That needs the package cryptography. `users` has passwords by name, for AUTH.

    Entering raises the exceptions of `Server.start`. Leaving
    waits STOP_TIMEOUT seconds for connected clients. Both raise TimeoutError after LIMIT seconds.
    """

    def __init__(
        self,
        plugins: Sequence[Plugin] = (),
        *,
        traps: Sequence[str] = (),
        config: ConfigOrTables = DEFAULT_CONFIG,
        now: str | datetime | None = None,
        protocol: Literal["smtp", "lmtp"] = "smtp",
        domains: Sequence[str] | None = None,
        tls: Literal["none", "starttls", "implicit"] = "none",
        users: Mapping[str, str] | None = None,
        resolver: Resolver | None = None,
        store: MemoryStore | None = None,
        tables: Mapping[str, Table] | None = None,
    ) -> None:
        trap_list(traps)
        self._capture = Capture()
        self._plugins = [*plugins, self._capture]
        self._traps = traps
        self._config = _with_domains(make_config(config), domains)
        self._tls = tls
        self._users = users
        self.certificate = ""
        self._clock = VirtualClock(datetime.now(UTC) if now is None else now)
        self._protocol = protocol
        self._resolver: Resolver = FakeResolver() if resolver is None else resolver
        self._store = MemoryStore() if store is None else store
        self._store.clock = self._clock
        self._tables = tables
        self._stack = ExitStack()
        self.address: tuple[str, int] = ("", 0)

    @property
    def messages(self) -> list[ReceivedMessage]:
        """The messages accepted so far; each is added before its client receives the reply."""
        return self._capture.messages

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            # A server that hangs may still write.
            temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            folder = stack.enter_context(temporary)
            started: _Started = Future()
            ended: Future[None] = Future()
            arguments = (Path(folder), started, ended)
            thread = threading.Thread(
                target=self._run, args=arguments, name="gatepost", daemon=True
            )
            thread.start()
            loop, stop = self._await_start(started, thread)
            stack.callback(_await_end, ended, thread)
            stack.callback(_set_event, loop, stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _await_start(self, started: _Started, thread: threading.Thread) -> _Running:
        if not wait([started], LIMIT).done:
            raise TimeoutError(f"the server has not started within {LIMIT:g} seconds")
        if started.exception() is not None:
            thread.join()
        return started.result()

    def _run(self, folder: Path, started: _Started, ended: Future[None]) -> None:
        """Run the server in the thread; pass any exception to the thread of the test."""
        try:
            asyncio.run(self._serve(folder, started))
        except BaseException as error:  # noqa: BLE001 - raised in the thread of the test
            (ended if started.done() else started).set_exception(error)
        else:
            ended.set_result(None)

    async def _serve(self, folder: Path, started: _Started) -> None:
        stop = asyncio.Event()
        config = self._configured(folder)
        async with Server(
            config,
            self._plugins,
            self._clock,
            stop_timeout=STOP_TIMEOUT,
            resolver=self._resolver,
            store=self._store,
            tables=self._tables,
        ) as server:
            host, _, port = server.addresses[0][1].rpartition(":")
            self.address = (host, int(port))
            started.set_result((asyncio.get_running_loop(), stop))
            await stop.wait()

    def _configured(self, folder: Path) -> Config:
        """Return the configuration with this server's listener, data folder and traps."""
        config, change = self._config, msgspec.structs.replace
        traps = folder / "traps"
        traps.write_text("".join(f"{line}\n" for line in self._traps))
        if self._tls != "none":
            config, self.certificate = with_certificate(config, folder)
        if self._users is not None:
            config = with_users(config, self._users, folder, clear=self._tls == "none")
        listen = ListenConfig(
            address=InetAddress("127.0.0.1", 0),
            protocol=self._protocol,
            auth=self._users is not None or config.listen[0].auth,
            tls=self._tls,
            add_missing_headers=config.listen[0].add_missing_headers,
        )
        return change(
            config,
            server=change(config.server, data_dir=str(folder)),
            listen=[listen],
            traps=change(config.traps, lists=[*config.traps.lists, str(traps)]),
        )


def _with_domains(config: Config, domains: Sequence[str] | None) -> Config:
    if domains is None:
        return config
    recipients = msgspec.structs.replace(config.recipients, domains=domains)
    return check(msgspec.structs.replace(config, recipients=recipients))


def _set_event(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop is closed: the server has failed
        loop.call_soon_threadsafe(event.set)


def _await_end(ended: Future[None], thread: threading.Thread) -> None:
    if not wait([ended], LIMIT).done:
        raise TimeoutError(f"the server has not stopped within {LIMIT:g} seconds")
    thread.join()
    ended.result()
