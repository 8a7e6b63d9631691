"""The cost of live viewers for the workers: `python -m bench.viewers [--compiled]`.

Watches one server with VIEWERS of the live streams of the dashboard: of the open sessions, and of
new rows. Prints the CPU time that the worker uses a second for them without mail. Then it sends
rounds of messages, in turn without viewers and with them, and prints the CPU time of the worker for
a message, and how much more it is with viewers. IDLE connections are open all the time, so that
there are some sessions.

Limits: Linux with scheduler statistics. A ratio compares the two rounds next to each other; the
median of them counts. The time of SETTLE after each round is part of it, also that of the requests
for sessions.
"""

from __future__ import annotations

import argparse
import contextlib
import selectors
import socket
import sys
import tempfile
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tools.daemon import HOST, free_port

from bench.ledger_load import LOADS, used
from bench.load import Load, idle_connections, send
from bench.process import BenchError, Running
from bench.servers import GATEPOST_CONFIG, TRAP, compiled_environment, gatepost_as
from gatepost.web.access.users import UsersFile, WebUser, with_password
from gatepost.web.live.places import EACH

if TYPE_CHECKING:
    from collections.abc import Iterator

VIEWERS = 50
IDLE = 200
SETTLE = 1.5
# Seconds without mail in which the requests for sessions are measured.
QUIET = 20.0
PATHS = ("/live/sessions", "/live/events")
PASSWORD = "a password of the bench"
WEB = '\n[web]\nlisten = "{}:{}"\n'


class Viewers:
    """Streams that are read in a thread; `octets` is the number of those that have come."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._is_over = False
        self.octets = 0

    def open(self, count: int) -> None:
        """Open streams, as many of a login as it may have."""
        cookie = ""
        for number in range(count):
            if number % EACH == 0:
                cookie = self._log_in()
            path = PATHS[number % len(PATHS)]
            request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookie}\r\n\r\n"
            sock = socket.create_connection((HOST, self._port))
            sock.sendall(request.encode())
            if not sock.recv(4096).startswith(b"HTTP/1.1 200 "):
                raise BenchError(f"{path}: expected a stream")
            self._selector.register(sock, selectors.EVENT_READ)

    def _log_in(self) -> str:
        connection = HTTPConnection(HOST, self._port)
        fields = {"Content-Type": "application/x-www-form-urlencoded"}
        form = urlencode({"name": "bench", "password": PASSWORD})
        connection.request("POST", "/login", form, fields)
        found = connection.getresponse().getheader("Set-Cookie")
        connection.close()
        if found is None:
            raise BenchError("the login of the dashboard failed")
        return found.partition(";")[0]

    def read(self) -> None:
        """Read until `stop`."""
        while not self._is_over:
            for key, _ in self._selector.select(0.1):
                assert isinstance(key.fileobj, socket.socket)  # typed as any file
                self.octets += len(key.fileobj.recv(1 << 18))

    def stop(self) -> None:
        """End the reading."""
        self._is_over = True

    def close(self) -> None:
        """End the streams."""
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()


@contextlib.contextmanager
def watched(port: int, count: int) -> Iterator[Viewers]:
    """Hold viewers of a dashboard."""
    viewers = Viewers(port)
    viewers.open(count)
    reader = threading.Thread(target=viewers.read)
    reader.start()
    try:
        yield viewers
    finally:
        viewers.stop()
        reader.join()
        viewers.close()


@contextlib.contextmanager
def started(web: int, env: dict[str, str] | None) -> Iterator[Running]:
    """Run a server with a dashboard on a port, and a user."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "traps").write_text(f"{TRAP}\n")
        user = with_password(WebUser("bench"), PASSWORD)
        UsersFile(folder / "var").put(user)
        config = GATEPOST_CONFIG.format(tls="none", connections=2000, keys="")
        config += WEB.format(HOST, web)
        with gatepost_as(config, folder, "gatepost", env) as running:
            yield running


def cost(server: Running, load: Load) -> tuple[float, float]:
    """Return the microseconds of the worker for a message, and those of all other processes."""
    before = used(server)
    send(server, load)
    time.sleep(SETTLE)
    after = used(server)
    micro = {name: (after[name] - before[name]) / load.messages * 1e6 for name in after}
    worker = micro.pop("worker")
    return worker, sum(micro.values())


def compare(messages: int, rounds: int, *, compiled: bool) -> None:
    """Measure, and print a line for each load."""
    env = dict(compiled_environment()) if compiled else None
    port = free_port()
    with started(port, env) as server, idle_connections(server, IDLE):
        send(server, Load(300))
        with watched(port, VIEWERS):  # everything is imported, every cache filled
            send(server, Load(300))
        show_idle(server, port)
        for name, options in LOADS.items():
            load = Load(messages, **options)
            pairs = [pair(server, port, load, number) for number in range(rounds)]
            show(name, pairs)


def show_idle(server: Running, port: int) -> None:
    """Print the milliseconds of the worker in a second without mail: no viewers, one, VIEWERS."""
    found = []
    for count in (0, 1, VIEWERS):
        with watched(port, count):
            before = used(server)["worker"]
            time.sleep(QUIET)
            found.append(f"{count}: {(used(server)['worker'] - before) / QUIET * 1000:.2f} ms")
    print(f"without mail, worker a second by viewers: {', '.join(found)}", flush=True)


Pair = tuple[tuple[float, float], tuple[float, float], int]


def pair(server: Running, port: int, load: Load, number: int) -> Pair:
    """Return the costs of a round without and with viewers, and the octets that they got."""
    without = cost(server, load) if number % 2 == 0 else None
    with watched(port, VIEWERS) as viewers:
        watched_cost = cost(server, load)
        octets = viewers.octets
    return without or cost(server, load), watched_cost, octets


def show(name: str, pairs: list[Pair]) -> None:
    """Print one line."""
    more = [watched_cost[0] / without[0] - 1 for without, watched_cost, _ in pairs]
    bare = median(without[0] for without, _, _ in pairs)
    seen = median(watched_cost[0] for _, watched_cost, _ in pairs)
    others = median(watched_cost[1] - without[1] for without, watched_cost, _ in pairs)
    octets = median(octets for _, _, octets in pairs)
    print(
        f"{name:8} worker {bare:6.1f} µs, with {VIEWERS} viewers {seen:6.1f} µs:"
        f" {median(more):+6.1%} ({min(more):+.1%} to {max(more):+.1%});"
        f" other processes {others:+7.1f} µs; {octets / 1e6:.1f} MB for viewers a round",
        flush=True,
    )


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--compiled", action="store_true", help="measure the compiled build")
    options = parser.parse_args()
    try:
        compare(options.messages, options.rounds, compiled=options.compiled)
    except BenchError as error:
        sys.exit(f"viewers: {error}")


if __name__ == "__main__":
    main()
