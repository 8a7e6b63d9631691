"""`gatepost serve`: receive mail in the foreground.

The first SIGTERM or SIGINT has messages under way come to their end; a second one ends the process
at once.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import click
import structlog

from gatepost.cli.output import Failure, reason
from gatepost.cli.settings import config_option, read_config
from gatepost.config.schema import Config
from gatepost.plugin.host import PluginError
from gatepost.server import logs
from gatepost.server.listener import ListenFailedError
from gatepost.server.server import Server
from gatepost.session.assemble import SetupError

# New objects, less those that are gone again, between collections: about as many transactions under
# way as a worker has connections.
_COLLECT_AFTER = 20_000
_STOP = (signal.SIGTERM, signal.SIGINT)

_log = structlog.get_logger("gatepost.server")


@click.command(epilog="Example: gatepost serve -c /etc/gatepost/gatepost.toml")
@config_option
def command(file: Path) -> None:
    """Receive mail as the configuration says, until SIGTERM or SIGINT.

    Says so in one line on standard error once connections are accepted, then logs there. Messages
    that are on their way at the end still come in.
    """
    config = read_config(file)
    logs.configure(config.log)
    run(config)


def run(config: Config) -> None:
    """Serve until told to stop; raises `Failure` if the server cannot start."""
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(config))
    except (SetupError, PluginError, ListenFailedError) as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(reason(error)) from error


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Prefer uvloop, which takes half the time, where it is installed."""
    if find_spec("uvloop") is None:
        return None
    import uvloop  # noqa: PLC0415 - an optional dependency

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(config: Config) -> None:
    told = _signals()
    server = Server(config)
    start = asyncio.create_task(server.start())
    stop = asyncio.create_task(told.wait())
    await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
    if not start.done():
        start.cancel()
        await asyncio.wait({start})
        return
    await start
    _settle_memory()
    _ready(server)
    await stop
    _log.info("stopping")
    await server.stop()


def _settle_memory() -> None:
    """Keep the garbage collector away from what stays: lists and code are not looked at again.

    Sessions hardly make cycles, so collections can be rarer than every 700 new objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


def _signals() -> asyncio.Event:
    """Return an event that is set by the first signal to stop."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()

    def stop() -> None:
        told.set()
        for number in _STOP:
            loop.remove_signal_handler(number)

    for number in _STOP:
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, _no_reload)
    return told


def _no_reload() -> None:
    _log.warning("reload is not available yet, restart to apply a new configuration")


def _ready(server: Server) -> None:
    where = " ".join(f"{protocol}={address}" for protocol, address in server.addresses)
    sys.stderr.write(f"gatepost: ready {where}\n")
    sys.stderr.flush()
