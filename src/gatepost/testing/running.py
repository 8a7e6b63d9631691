"""A server on a real socket, for tests of programs that send mail."""

import asyncio
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from gatepost.config.listen import InetAddress
from gatepost.config.schema import Config, ListenConfig
from gatepost.plugin.base import Plugin
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.server.capture import Capture, ReceivedMessage
from gatepost.server.memory import DEFAULT_CONFIG
from gatepost.server.server import Server

# Seconds that the end of a test waits for connected clients.
STOP_TIMEOUT = 0.1


class RunningServer:
    """A server on a free port of 127.0.0.1, in a separate thread.

        with RunningServer() as server:
            with smtplib.SMTP(*server.address) as client: ...
            assert server.messages

    `plugins`, `traps` and `config` are as for `play`, except that the server has its own listener
    and data folder. The clock shows `now` (by default the time at which the object was made).
    Waiting takes no time, so the delay of a refusal does not slow a test down. Entering raises the
    exceptions of `Server.start`. Leaving waits STOP_TIMEOUT seconds for connected clients.
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
        self.address: tuple[str, int] = ("", 0)

    @property
    def messages(self) -> list[ReceivedMessage]:
        """The messages accepted so far; each is added before its client receives the reply."""
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
        server = Server(
            self._configured(folder), self._plugins, self._clock, stop_timeout=STOP_TIMEOUT
        )
        try:
            await server.start()
        except BaseException as error:  # noqa: BLE001 - raised in the thread of the test
            started.set_exception(error)
            return
        host, _, port = server.addresses[0][1].rpartition(":")
        self.address = (host, int(port))
        started.set_result((asyncio.get_running_loop(), stop))
        await stop.wait()
        await server.stop()

    def _configured(self, folder: Path) -> Config:
        """Return the configuration with this server's listener, data folder and traps."""
        config, change = self._config, msgspec.structs.replace
        traps = folder / "traps"
        traps.write_text("".join(f"{line}\n" for line in self._traps))
        listen = ListenConfig(
            address=InetAddress("127.0.0.1", 0),
            protocol=self._protocol,
            auth=config.listen[0].auth,
        )
        return change(
            config,
            server=change(config.server, data_dir=str(folder)),
            listen=[listen],
            traps=change(config.traps, lists=[*config.traps.lists, str(traps)]),
        )
