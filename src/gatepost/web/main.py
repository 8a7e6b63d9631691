"""The process of the dashboard, started by the supervisor (`gatepost.process.start`).

It is a fork that calls `run`, or `python -m gatepost.web.main FD` with its arguments on standard
input. It serves on the listening socket FD. SIGTERM ends it, and so does the end of the supervisor.
SIGINT and SIGHUP are ignored, because a terminal sends them to the whole process group.

Security: the arguments are a pickle, which can run code. They come from the file that the
supervisor opened.
"""

import asyncio
import faulthandler
import os
import pickle
import signal
import socket
import ssl
import sys
from collections.abc import Sequence

from gatepost.config.schema import Config
from gatepost.ledger.link import NoticeSender
from gatepost.lists.reloadable import FileChange
from gatepost.log.logger import get_logger
from gatepost.log.os_error import describe_os_error
from gatepost.log.setup import configure_log
from gatepost.net.sockets import bound_address
from gatepost.net.tls import WEB, KeyPair, ListenerTls, TlsError, web_key_pairs
from gatepost.process.name import WEB as NAME
from gatepost.process.name import name_process
from gatepost.process.web_process import WebArguments
from gatepost.web.app import make_app
from gatepost.web.audit import Audit
from gatepost.web.server import WebServer
from gatepost.web.site import Site

# Seconds between two looks whether the supervisor runs, and whether a certificate has changed.
_INTERVAL = 2.0

_log = get_logger("gatepost.web")


def main() -> int:
    """Serve with the arguments on standard input; return the exit status."""
    return run(pickle.load(sys.stdin.buffer), int(sys.argv[1]))  # noqa: S301 - see Security above


def run(arguments: WebArguments, descriptor: int) -> int:
    """Serve until stopped; return the exit status."""
    parent = os.getppid()
    name_process(NAME)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    faulthandler.enable()
    configure_log(arguments.config.log, arguments.config.log_file)
    pairs = web_key_pairs(arguments.config, arguments.contents)
    try:
        for pair in pairs:
            pair.load()
        site = Site(arguments.config, _audit(arguments.ledger))
        asyncio.run(_serve(site, _inherited(descriptor), pairs, parent))
    except (OSError, TlsError) as error:
        problem = describe_os_error(error) if isinstance(error, OSError) else str(error)
        _log.error("dashboard not usable", problem=problem)
        return 1
    return 0


def _inherited(descriptor: int) -> socket.socket:
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    return sock


def _audit(descriptor: int) -> Audit:
    if descriptor < 0:
        return Audit(None)
    source = f"web-{os.getpid()}-{os.urandom(4).hex()}"
    return Audit(NoticeSender(_inherited(descriptor), source))


async def _serve(site: Site, sock: socket.socket, pairs: Sequence[KeyPair], parent: int) -> None:
    """Serve until SIGTERM, or until the supervisor has exited."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = WebServer(make_app(site), sock, _context(pairs))
    await server.start()
    _print_link(site, sock)
    while os.getppid() == parent and not stop.is_set():
        await _wait(stop)
        if pairs:
            await asyncio.to_thread(_refresh, pairs)
    site.live.end_streams()
    await server.stop()
    site.close()


async def _wait(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_INTERVAL):
            await stop.wait()
    except TimeoutError:
        return


def _context(pairs: Sequence[KeyPair]) -> ssl.SSLContext | None:
    return ListenerTls(WEB, pairs).context() if pairs else None


def _refresh(pairs: Sequence[KeyPair]) -> None:
    """Use certificates that have changed."""
    for pair in pairs:
        change: FileChange | None = pair.refresh()
        if change is not None and change.problem:
            _log.error("certificate not usable", path=str(pair.path), problem=change.problem)


def _print_link(site: Site, sock: socket.socket) -> None:
    """Print the link for the first user, as the log may be kept elsewhere for long."""
    link = site.first_link(base_url(site.config, bound_address(sock)))
    if link:
        sys.stderr.write(f"gatepost: dashboard {link}\n")
        sys.stderr.flush()


def base_url(config: Config, address: str) -> str:
    """Return the URL of the dashboard at an address, "" on a Unix socket.

    The address of all interfaces is no address to connect to: the name of the server replaces it.
    """
    if address.startswith("unix:"):
        return ""
    host, _, port = address.rpartition(":")
    name = config.server.hostname if host in ("0.0.0.0", "[::]") else host  # noqa: S104 - compared
    return f"{'https' if config.web.tls else 'http'}://{name}:{port}"


if __name__ == "__main__":
    sys.exit(main())
