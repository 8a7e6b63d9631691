"""A worker process, started by the supervisor (`gatepost.process.start`).

It is a fork that calls `run`, or `python -m gatepost.process.worker_main FD` with its arguments on
standard input. It serves, and obeys the control messages on the socket FD.
It shuts down when the supervisor has exited. SIGTERM has the effect of a STOP message. SIGINT and
SIGHUP are ignored, because a terminal sends them to the whole process group and the supervisor
handles them.

Security: the arguments are a pickle, which can run code. They come from the file that the
supervisor opened.
"""

import asyncio
import faulthandler
import gc
import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

from gatepost._build import describe_build, loop_factory
from gatepost._version import __version__
from gatepost.counts.memory import Slot
from gatepost.ledger.link import Link
from gatepost.log.os_error import describe_os_error
from gatepost.log.setup import configure_log
from gatepost.metrics import status
from gatepost.net.sockets import ListenFailedError
from gatepost.plugin.host import PluginError
from gatepost.process.control import Channel, ControlThread, MessageKind
from gatepost.process.name import WORKER, name_process
from gatepost.process.worker import WorkerArguments
from gatepost.server.file_supply import ignore_failed_accepts
from gatepost.server.ledger_thread import flush
from gatepost.server.server import Server
from gatepost.session.assemble import SetupError

# A fork has the library of the event loop already imported.
_LOOP_FACTORY = loop_factory()
# New objects, minus freed ones, between two garbage collections: about the number of transactions
# that a worker has open.
_COLLECT_AFTER = 20_000
# How long the event loop may keep the interpreter's lock while a thread waits for it, in seconds.
# This must be shorter than the time between two system calls of the event loop. Each of them
# releases the lock for an instant that is too short for the thread, and its wait starts again: with
# 0.5 ms a delivery took 0.3 s next to a client that keeps the event loop busy.
_SWITCH = 0.0001
# How long a worker that stops tries to send its last records, in seconds.
_LAST_RECORDS = 2.0
# The interval at which the ledger process gets the state of a worker, in seconds.
_STATUS = 5.0
# The longest interval at which an idle event loop counts as progress, in seconds.
_BEAT = 1.0


def main() -> int:
    """Serve with the arguments on standard input; return the exit status."""
    return run(pickle.load(sys.stdin.buffer), int(sys.argv[1]))  # noqa: S301 - see Security above


def run(arguments: WorkerArguments, descriptor: int) -> int:
    """Serve until stopped; return the exit status."""
    name_process(WORKER)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    faulthandler.enable()
    sys.setswitchinterval(_SWITCH)
    configure_log(arguments.config.log, arguments.config.log_file)
    channel = Channel(_inherited(descriptor))
    os.set_inheritable(arguments.counters, False)
    try:
        with asyncio.Runner(loop_factory=_LOOP_FACTORY) as runner:
            runner.run(_WorkerMain(arguments, channel).serve())
    except (SetupError, PluginError, ListenFailedError) as error:
        channel.send(MessageKind.FAILED, str(error))
    except OSError as error:
        channel.send(MessageKind.FAILED, describe_os_error(error))
    else:
        return 0
    return 1


def _inherited(descriptor: int) -> socket.socket:
    """Return an inherited socket; programs that the worker starts do not inherit it."""
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    return sock


def _make_link(arguments: WorkerArguments) -> Link | None:
    """Return the way of records to the ledger process, None if it does not run."""
    if arguments.ledger < 0:
        return None
    return Link(_inherited(arguments.ledger), _call_later)


def _call_later(delay: float, callback: Callable[[], object]) -> None:
    asyncio.get_running_loop().call_later(delay, callback)


def _make_server(arguments: WorkerArguments, link: Link | None) -> Server:
    sockets = [list(map(_inherited, listener)) for listener in arguments.sockets]
    slot = Slot.attach(arguments.counters, arguments.slot)
    return Server(
        arguments.config,
        sockets=sockets,
        slot=slot,
        contents=arguments.contents,
        records=None if link is None else link.add,
        late_traps=arguments.late_traps,
        control=True,
    )


class _WorkerMain:
    """The server and the control messages that end it."""

    def __init__(self, arguments: WorkerArguments, channel: Channel) -> None:
        self._link = _make_link(arguments)
        self._server = _make_server(arguments, self._link)
        self._channel = channel
        self._events = {MessageKind.STOP: asyncio.Event(), MessageKind.RETIRE: asyncio.Event()}
        self._beats = 0
        self._beat_interval = min(_BEAT, arguments.config.server.worker_timeout / 4)

    async def serve(self) -> None:
        """Start the server, report READY, and serve until a message or a signal ends it."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(ignore_failed_accepts)
        loop.add_signal_handler(signal.SIGTERM, self._events[MessageKind.STOP].set)
        self._beat()
        ControlThread(self._channel, self._progress, self._pass_to_loop(loop)).start()
        stop = asyncio.create_task(self._events[MessageKind.STOP].wait())
        if not await self._start(stop):
            return
        _freeze_memory()
        self._channel.send(MessageKind.READY, f"{__version__} {describe_build()}")
        retire = asyncio.create_task(self._retire())
        reporting = asyncio.create_task(self._report_status())
        await asyncio.wait({retire, stop}, return_when=asyncio.FIRST_COMPLETED)
        retire.cancel()
        stop.cancel()
        reporting.cancel()
        await self._server.stop()
        if self._link is not None:
            await flush(self._link, _LAST_RECORDS)

    async def _report_status(self) -> None:
        """Send the state of this worker to the ledger process, again and again."""
        while self._link is not None:
            await self._server.measure()
            self._link.report(status.encode(self._server.status(self._link.dropped)))
            await asyncio.sleep(_STATUS)

    async def _start(self, stop: "asyncio.Task[bool]") -> bool:
        """Start the server; return False if `stop` was done first."""
        start = asyncio.create_task(self._server.start())
        await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not start.done():
            start.cancel()
            await asyncio.wait({start})
            return False
        await start
        return True

    async def _retire(self) -> None:
        await self._events[MessageKind.RETIRE].wait()
        await self._server.retire()

    def _progress(self) -> int:
        return self._beats + self._server.turns

    def _beat(self) -> None:
        """Count as progress that the event loop runs, also while it starts or stops."""
        self._beats += 1
        asyncio.get_running_loop().call_later(self._beat_interval, self._beat)

    def _pass_to_loop(self, loop: asyncio.AbstractEventLoop) -> Callable[[MessageKind], None]:
        def pass_on(kind: MessageKind) -> None:
            with suppress(RuntimeError):  # the loop is closed: the process is exiting
                loop.call_soon_threadsafe(self._events[kind].set)

        return pass_on


def _freeze_memory() -> None:
    """Exclude lists and code from garbage collection.

    Sessions create hardly any reference cycles, so collections can be rarer than by default.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


if __name__ == "__main__":
    sys.exit(main())
