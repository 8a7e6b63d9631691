"""How many connections may come from one address, one network, and how fast: over all workers."""

import asyncio
import os
import signal
import socket
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.process.supervised import PATIENCE, Supervised, eventually

from gatepost.config.schema import Config, Limits
from gatepost.counts.memory import Slot
from gatepost.server.limits import ConnectionLimiter, packed
from gatepost.testing import MemoryServer

TOO_MANY = "421 4.7.0 Too many connections, try again later"
BOUND = 20
SHARED = f"[limits]\nconnections_per_ip = {BOUND}\nexempt = []"


def greetings(limits, *hosts, seconds=0.0):
    """Return for each host the code it is greeted with, all connected at a time."""

    async def main():
        async with MemoryServer(config=Config(limits=limits)) as server:
            codes = []
            server._worker.now = 600.0  # a window of the rates begins
            for host in hosts:
                codes.append((await server.connect((host, 1)).reply())[:3])
                server._worker.now += seconds
            return codes

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("limit", "hosts", "codes"),
    [
        ("connections_per_ip", ["192.0.2.1"] * 3 + ["192.0.2.2"], "220 220 421 220"),
        ("connections_per_ip", ["2001:db8::1"] * 3 + ["2001:db8::2"], "220 220 421 220"),
        ("connections_per_network", ["192.0.2.1", "192.0.2.9", "192.0.2.3"], "220 220 421"),
        ("connections_per_network", ["192.0.2.1", "192.0.3.1", "192.0.2.3"], "220 220 220"),
        ("connections_per_network", ["2001:db8::1", "2001:db8::2:1", "2001:db8::3"], "220 220 421"),
        ("connections_per_network", ["2001:db8::1", "2001:db8:0:1::1", "2001:db8::3"], "220 " * 3),
        ("connection_rate_per_ip", ["192.0.2.1"] * 3 + ["192.0.2.2"], "220 220 421 220"),
        ("connection_rate_per_network", ["192.0.2.1", "192.0.2.9", "192.0.2.3"], "220 220 421"),
        ("connections_per_ip", ["127.0.0.1"] * 3, "220 220 220"),
        ("connection_rate_per_network", ["::1"] * 3, "220 220 220"),
    ],
)
def test_each_limit(limit, hosts, codes):
    assert greetings(Limits(**{limit: 2}), *hosts) == codes.split()


def test_a_rate_is_for_a_minute():
    codes = greetings(Limits(connection_rate_per_ip=2), *["192.0.2.1"] * 9, seconds=20.0)
    assert codes == ["220", "220", "421"] * 3


def test_networks_that_are_exempt():
    limits = Limits(connections_per_ip=1, exempt=[ip_network("192.0.2.0/28")])
    hosts = ["192.0.2.1", "192.0.2.1", "192.0.2.16", "192.0.2.16", "127.0.0.1", "127.0.0.1"]
    assert greetings(limits, *hosts) == ["220", "220", "220", "421", "220", "421"]


def test_those_refused_are_logged_once_a_second():
    async def main():
        async with MemoryServer(config=Config(limits=Limits(connections_per_ip=1))) as server:
            for _ in range(4):
                await server.connect().reply()
            with capture_logs() as logs:
                server._worker._sweep()
                server._worker._sweep()
            return logs

    event = {"event": "connections refused", "log_level": "warning", "count": 3}
    assert asyncio.run(main()) == [event | {"last": "192.0.2.1", "limit": "connections_per_ip"}]


HOSTS = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)


@given(st.lists(st.tuples(st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1"]), HOSTS)))
def test_nothing_is_left_of_those_that_are_gone(pairs):
    slot = Slot.alone()
    limiter = ConnectionLimiter(Limits(), slot)
    inside = []
    for host in (one for pair in pairs for one in pair):
        if (origin := limiter.origin(host)) is not None:
            limiter.enter(origin, 0.0)
            inside.append(origin)
    for origin in inside:
        limiter.leave(origin)
    assert not any(slot.own.tables[0])


@pytest.mark.parametrize(
    ("host", "octets"),
    [
        ("192.0.2.1", b"\xc0\x00\x02\x01"),
        ("fe80::1%eth0", b"\xfe\x80" + bytes(13) + b"\x01"),
        ("local", None),
        ("", None),
    ],
)
def test_addresses_as_octets(host, octets):
    assert packed(host) == octets


class Clients:
    """Connections to a supervised server, each greeted or refused when the next begins."""

    def __init__(self, port):
        self.port = port
        self.greeted = []

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        for sock in self.greeted:
            sock.close()

    def come(self, count):
        """Let so many more in; return how many were greeted."""
        before = len(self.greeted)
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
            reply = sock.recv(1000).decode()
            if reply.startswith("220"):
                self.greeted.append(sock)
            else:
                assert reply == f"{TOO_MANY}\r\n"
                sock.close()
        return len(self.greeted) - before

    def cut(self):
        """Take out those that the server has cut; return how many."""
        cut = [sock for sock in self.greeted if is_cut(sock)]
        for sock in cut:
            self.greeted.remove(sock)
            sock.close()
        return len(cut)


def is_cut(sock):
    sock.setblocking(False)
    try:
        return sock.recv(1000) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_workers_count_together_and_what_a_dead_one_had_is_free_again(tmp_path):
    with Supervised(tmp_path, extra=SHARED) as server, Clients(server.ready()) as clients:
        assert clients.come(BOUND + 5) == BOUND
        os.kill(min(server.workers()), signal.SIGKILL)
        server.await_events("worker exited")
        lost = eventually(clients.cut)
        assert 0 < lost < BOUND  # each of both had some
        assert clients.come(lost + 5) == lost


def test_the_workers_of_a_reload_count_with_those_before(tmp_path):
    with Supervised(tmp_path, extra=SHARED) as server, Clients(server.ready()) as clients:
        assert clients.come(BOUND) == BOUND
        server.reload()
        assert clients.come(5) == 0
        for sock in clients.greeted[:3]:
            sock.sendall(b"QUIT\r\n")
            sock.recv(1000)
            sock.close()
        del clients.greeted[:3]
        eventually(lambda: clients.come(1))
