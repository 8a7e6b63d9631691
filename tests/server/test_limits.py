"""Limits of connections and of their rate, by address and by network, over all workers."""

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
from tests.references import without_references

from gatepost.config.schema import Config, LimitsConfig
from gatepost.counts.memory import Slot
from gatepost.server.limits import ConnectionLimiter, packed
from gatepost.testing import MemoryServer

TOO_MANY = "421 4.7.0 Too many connections, try again later"
BOUND = 20
SHARED = f"[limits]\nconnections_per_ip = {BOUND}\nexempt = []"


def greetings(limits, *hosts, seconds=0.0):
    """Connect from each host and keep the connections; return the codes of the greetings."""

    async def main():
        async with MemoryServer(config=Config(limits=limits)) as server:
            codes = []
            server.connections.now = 600.0  # the start of a window of the rates
            for host in hosts:
                codes.append((await server.connect((host, 1)).reply())[:3])
                server.connections.now += seconds
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
def test_limit_by_address_or_network(limit, hosts, codes):
    assert greetings(LimitsConfig(**{limit: 2}), *hosts) == codes.split()


@pytest.mark.parametrize("limit", ["connection_rate_per_ip", "connections_per_ip"])
@pytest.mark.parametrize("hosts", [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")])
def test_connections_over_a_limit_of_their_address_do_not_count_for_the_network(limit, hosts):
    limits = LimitsConfig(**{limit: 2, "connection_rate_per_network": 4})
    codes = greetings(limits, *[hosts[0]] * 9, *[hosts[1]] * 3)
    assert codes == ["220"] * 2 + ["421"] * 7 + ["220"] * 2 + ["421"]


@pytest.mark.parametrize("limit", ["connections_per_network", "connection_rate_per_network"])
def test_a_48_may_have_four_times_as_much_as_a_64(limit):
    hosts = [f"2001:db8:7:{one}::1" for one in range(10)]
    codes = greetings(LimitsConfig(**{limit: 2}), *hosts, "2001:db8:8::1")
    assert codes == ["220"] * 8 + ["421"] * 2 + ["220"]


def test_clients_of_nat64_are_counted_by_their_ipv4_address():
    hosts = [f"64:ff9b::198.51.{one}.1" for one in range(9)]
    limits = LimitsConfig(connections_per_network=1, connections_per_ip=1)
    assert greetings(limits, *hosts, hosts[0], "198.51.3.1") == ["220"] * 9 + ["421"] * 2


def test_rates_are_per_minute():
    codes = greetings(LimitsConfig(connection_rate_per_ip=2), *["192.0.2.1"] * 9, seconds=20.0)
    assert codes == ["220", "220", "421"] * 3


def test_exempt_networks_have_no_limits():
    limits = LimitsConfig(connections_per_ip=1, exempt=[ip_network("192.0.2.0/28")])
    hosts = ["192.0.2.1", "192.0.2.1", "192.0.2.16", "192.0.2.16", "127.0.0.1", "127.0.0.1"]
    assert greetings(limits, *hosts) == ["220", "220", "220", "421", "220", "421"]


def test_refused_connections_are_logged_once_a_second():
    async def main():
        async with MemoryServer(config=Config(limits=LimitsConfig(connections_per_ip=1))) as server:
            for _ in range(4):
                await server.connect().reply()
            with capture_logs() as logs:
                server.connections._sweep()
                server.connections._sweep()
            return logs

    counted = {"count": 3, "last": "192.0.2.1:50000", "limit": "connections_per_ip"}
    event = {"event": "connections refused", "log_level": "warning"}
    assert asyncio.run(main()) == [event | counted]


HOSTS = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)


@given(st.lists(st.tuples(st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1"]), HOSTS)))
def test_counts_are_zero_after_all_connections_have_ended(pairs):
    slot = Slot.standalone()
    limiter = ConnectionLimiter(LimitsConfig(), slot)
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
        ("64:ff9b::192.0.2.1", b"\xc0\x00\x02\x01"),
        ("2002:c000:201:5::1", b"\xc0\x00\x02\x01"),
        ("::ffff:192.0.2.1", b"\xc0\x00\x02\x01"),
        ("64:ff9b:1::1", b"\x00\x64\xff\x9b\x00\x01" + bytes(9) + b"\x01"),
        ("local", None),
        ("", None),
    ],
)
def test_address_is_packed_as_octets(host, octets):
    assert packed(host) == octets


class Clients:
    """Connections to a supervised server; each has its greeting or refusal before the next."""

    def __init__(self, port):
        self.port = port
        self.greeted = []

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        for sock in self.greeted:
            sock.close()

    def connect(self, count):
        """Open connections; return the number of those that were greeted."""
        before = len(self.greeted)
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
            reply = without_references(sock.recv(1000).decode())
            if reply.startswith("220"):
                self.greeted.append(sock)
            else:
                assert reply == f"{TOO_MANY}\r\n"
                sock.close()
        return len(self.greeted) - before

    def remove_closed(self):
        """Remove the connections that the server has closed; return their number."""
        closed = [sock for sock in self.greeted if is_closed(sock)]
        for sock in closed:
            self.greeted.remove(sock)
            sock.close()
        return len(closed)


def is_closed(sock):
    sock.setblocking(False)
    try:
        return sock.recv(1000) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_workers_share_the_counts_and_a_killed_worker_releases_its_own(tmp_path):
    with Supervised(tmp_path, extra=SHARED) as server, Clients(server.ready()) as clients:
        assert clients.connect(BOUND + 5) == BOUND
        os.kill(min(server.workers()), signal.SIGKILL)
        server.await_events("worker exited")
        lost = eventually(clients.remove_closed)
        assert 0 < lost < BOUND  # both workers had connections
        assert clients.connect(lost + 5) == lost


def test_workers_of_a_reload_share_the_counts_of_the_old_ones(tmp_path):
    with Supervised(tmp_path, extra=SHARED) as server, Clients(server.ready()) as clients:
        assert clients.connect(BOUND) == BOUND
        server.reload()
        assert clients.connect(5) == 0
        for sock in clients.greeted[:3]:
            sock.sendall(b"QUIT\r\n")
            sock.recv(1000)
            sock.close()
        del clients.greeted[:3]
        eventually(lambda: clients.connect(1))
