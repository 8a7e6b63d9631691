"""A worker process: `python -m gatepost.process.worker_main FD`, started by the supervisor.

Reads its orders from standard input, serves, and does what it is told over the socket FD. It ends
in order when the supervisor is gone. SIGTERM ends it as an order would; SIGINT and SIGHUP, which a
terminal sends to the whole group, are for the supervisor alone.

Security: orders are a pickle, which can run code; they come from the file the supervisor opened.
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
from importlib.util import find_spec

from gatepost.counts.memory import Slot
from gatepost.log.os_error import describe_os_error
from gatepost.log.setup import configure_log
from gatepost.net.sockets import ListenFailedError
from gatepost.plugin.host import PluginError
from gatepost.process.control import Channel, ControlMessage
from gatepost.process.worker import Orders
from gatepost.server.server import Server
from gatepost.session.assemble import SetupError

# New objects, less those that are gone again, between collections: about as many transactions under
# way as a worker has connections.
_COLLECT_AFTER = 20_000


def main() -> int:
    """Serve until told to stop; return the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    faulthandler.enable()
    orders: Orders = pickle.load(sys.stdin.buffer)  # noqa: S301 - see Security above
    configure_log(orders.config.log)
    channel = Channel(_inherited(int(sys.argv[1])))
    os.set_inheritable(orders.board, False)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_WorkerMain(orders, channel).serve())
    except (SetupError, PluginError, ListenFailedError) as error:
        channel.say(ControlMessage.FAILED, str(error))
    except OSError as error:
        channel.say(ControlMessage.FAILED, describe_os_error(error))
    else:
        return 0
    return 1


def _inherited(descriptor: int) -> socket.socket:
    """Return an inherited socket, which stays in the family: no child of ours gets it."""
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    return sock


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Prefer uvloop, which takes half the time, where it is installed."""
    if find_spec("uvloop") is None:
        return None
    import uvloop  # noqa: PLC0415 - an optional dependency

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


class _WorkerMain:
    """The server and its orders; made before, served inside the event loop."""

    def __init__(self, orders: Orders, channel: Channel) -> None:
        self._orders = orders
        self._channel = channel
        self._stop = asyncio.Event()
        self._retire = asyncio.Event()

    async def serve(self) -> None:
        """Start, say so, and end as told."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._channel.fileno(), self._hear)
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        sockets = [list(map(_inherited, one)) for one in self._orders.sockets]
        slot = Slot.taken(self._orders.board, self._orders.slot)
        orders = self._orders
        server = Server(orders.config, sockets=sockets, slot=slot, contents=orders.contents)
        stop = asyncio.create_task(self._stop.wait())
        start = asyncio.create_task(server.start())
        await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not start.done():
            start.cancel()
            await asyncio.wait({start})
            return
        await start
        _settle_memory()
        self._channel.say(ControlMessage.READY)
        retire = asyncio.create_task(self._retired(server))
        await asyncio.wait({retire, stop}, return_when=asyncio.FIRST_COMPLETED)
        retire.cancel()
        stop.cancel()
        await server.stop()

    async def _retired(self, server: Server) -> None:
        await self._retire.wait()
        await server.retire()

    def _hear(self) -> None:
        for word, _ in self._channel.hear():
            if word is ControlMessage.PING:
                self._channel.say(ControlMessage.PONG)
            elif word is ControlMessage.RETIRE:
                self._retire.set()
            elif word is ControlMessage.STOP:
                self._stop.set()
        if self._channel.ended:
            self._stop.set()
            asyncio.get_running_loop().remove_reader(self._channel.fileno())


def _settle_memory() -> None:
    """Keep the garbage collector away from what stays: lists and code are not looked at again.

    Sessions hardly make cycles, so collections can be rarer than every 700 new objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


if __name__ == "__main__":
    sys.exit(main())
