"""Who is calling, where a proxy says so: before the greeting, from trusted networks only."""

import asyncio
import contextlib
import socket
import struct
from ipaddress import ip_network

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.server.loopback import ENVELOPE, MESSAGE, Client, config, run
from tests.wire.headers import LOCAL, TCP6, UNIX, V1, V1_IPV6, addresses, tls, v2, value

from gatepost.config.listen import UnixAddress
from gatepost.model.decision import deny
from gatepost.model.endpoint import Endpoint
from gatepost.model.proxy import ProxyTls
from gatepost.plugin.base import Plugin
from gatepost.server.networks import is_within
from gatepost.testing import Capture

LOOPBACK = [ip_network("127.0.0.0/8")]
PROXY_ONLY = [ip_network("127.0.0.1/32")]
ELSEWHERE = [ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")]
GREETING = "220 localhost ESMTP Gatepost"
UNKNOWN = "500 5.5.1 Command not recognised"
COMMAND_EXPECTED = "500 5.5.2 Syntax error: command expected"
TOO_MANY = "421 4.7.0 Too many connections, try again later"


class Doorman(Plugin):
    """Keeps the sessions of whoever connects; refuses the addresses it is told."""

    def __init__(self, *refused):
        super().__init__()
        self.refused, self.sessions, self.left = refused, [], []

    def on_connect(self, session):
        self.sessions.append(session)
        return deny() if session.peer.host in self.refused else None

    def on_disconnect(self, session):
        self.left.append(session)


def behind(folder, networks=LOOPBACK, **more):
    made = config(folder, **more)
    return msgspec.structs.replace(
        made, listen=[msgspec.structs.replace(made.listen[0], proxy_from=networks)]
    )


async def from_address(house, host):
    """Connect from another address of the loopback network."""
    _, port = house.server.addresses[0][1].split(":")
    return Client(*await asyncio.open_connection("127.0.0.1", int(port), local_addr=(host, 0)))


async def last_words(client):
    """Return what comes until the connection is closed or broken off."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := await client.reader.read(1000):
            said += piece
    return said.decode()


@pytest.mark.parametrize(
    ("header", "peer", "local"),
    [
        (V1, Endpoint("203.0.113.7", 51234), Endpoint("192.0.2.25", 25)),
        (V1_IPV6, Endpoint("2001:db8::7", 51234), Endpoint("2001:db8::25", 25)),
        (v2(), Endpoint("203.0.113.7", 51234), Endpoint("192.0.2.25", 25)),
        (
            v2(addresses("2001:db8::7", "::1"), family=TCP6),
            Endpoint("2001:db8::7", 51234),
            Endpoint("::1", 25),
        ),
    ],
)
def test_the_client_is_whom_the_proxy_names(tmp_path, loop, header, peer, local):
    doorman, capture = Doorman(), Capture()

    async def scenario(house):
        client = await house.connect()
        client.send(header)
        assert await client.reply() == GREETING
        client.send(ENVELOPE + b"DATA\r\n")
        assert await client.codes(4) == ["250", "250", "250", "354"]
        client.send(MESSAGE + b"QUIT\r\n")
        assert await client.codes(2) == ["250", "221"]
        await client.close()

    run(scenario, behind(tmp_path), [doorman, capture], loop=loop)
    (session,) = doorman.sessions
    assert (session.peer, session.local, session.via.host) == (peer, local, "127.0.0.1")
    assert (session.proxy.source, session.proxy.destination) == (peer, local)
    literal = f"[IPv6:{peer.host}]" if ":" in peer.host else f"[{peer.host}]"
    assert f"Received: from x ({literal})".encode() in capture.messages[0].content


@pytest.mark.parametrize(
    ("header", "local_connection"),
    [
        (b"PROXY UNKNOWN\r\n", False),
        (v2(b"", LOCAL), True),
        (v2(bytes(216), family=UNIX), False),
    ],
)
def test_without_an_address_that_of_the_connection_stands(tmp_path, header, local_connection):
    doorman = Doorman()

    async def scenario(house):
        client = await house.connect()
        client.send(header)
        assert await client.reply() == GREETING
        client.send(b"QUIT\r\n")
        assert await client.codes(1) == ["221"]
        await client.close()

    run(scenario, behind(tmp_path), [doorman])
    (session,) = doorman.sessions
    assert (session.peer, session.local.host) == (session.via, "127.0.0.1")
    assert session.proxy.local is local_connection


def test_what_version_2_says_beside_addresses(tmp_path):
    doorman = Doorman()
    header = v2(addresses() + value(5, b"id-1") + tls(version=b"TLSv1.3", cipher=b"C"))

    async def scenario(house):
        client = await house.connect()
        client.send(header)
        assert await client.reply() == GREETING
        await client.close()

    run(scenario, behind(tmp_path), [doorman])
    proxy = doorman.sessions[0].proxy
    assert proxy.value(5) == b"id-1"
    assert proxy.tls == ProxyTls("TLSv1.3", "C", certificate=True, verified=True)


@pytest.mark.parametrize("header", [V1, v2()])
def test_a_header_in_pieces(tmp_path, loop, header):
    async def scenario(house):
        client = await house.connect()
        for octet in header + b"QUIT\r\n":
            client.send(bytes([octet]))
            await client.writer.drain()
            await asyncio.sleep(0)
        assert await client.replies(2) == [GREETING, "221 2.0.0 Closing connection"]
        await client.close()

    run(scenario, behind(tmp_path), loop=loop)


def test_what_follows_the_header_is_the_clients(tmp_path, loop):
    async def scenario(house):
        client = await house.connect()
        client.send(V1 + ENVELOPE)
        assert await client.codes(4) == ["220", "250", "250", "250"]
        await client.close()

    run(scenario, behind(tmp_path), loop=loop)


@pytest.mark.parametrize("networks", [[], ELSEWHERE, [ip_network("127.0.0.2/32")]])
@pytest.mark.parametrize(
    ("header", "replies"),
    [
        (V1, [GREETING, UNKNOWN]),
        (
            v2(),
            [
                *(GREETING, COMMAND_EXPECTED, COMMAND_EXPECTED),
                "500 5.5.2 Syntax error: expected printable characters",
                "500 5.5.2 Lines must end with CR LF and nothing else",
            ],
        ),
    ],
)
def test_from_anybody_else_it_is_a_wrong_command(tmp_path, networks, header, replies):
    doorman = Doorman()

    async def scenario(house):
        client = await house.connect()
        client.send(header)
        assert await client.replies(len(replies)) == replies
        await client.close()

    run(scenario, behind(tmp_path, networks), [doorman])
    (session,) = doorman.sessions
    assert (session.peer.host, session.via, session.proxy) == ("127.0.0.1", None, None)


@pytest.mark.parametrize("second", [V1, V1_IPV6])
def test_a_second_header_is_a_wrong_command(tmp_path, second):
    doorman = Doorman()

    async def scenario(house):
        client = await house.connect()
        client.send(V1 + second)
        assert await client.replies(2) == [GREETING, UNKNOWN]
        await client.close()

    run(scenario, behind(tmp_path), [doorman])
    assert [one.peer.host for one in doorman.sessions] == ["203.0.113.7"]


def test_a_second_header_of_version_2_is_one_too(tmp_path):
    async def scenario(house):
        client = await house.connect()
        client.send(v2() + v2())
        assert await client.replies(2) == [GREETING, COMMAND_EXPECTED]
        await client.close()

    run(scenario, behind(tmp_path))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"EHLO x\r\n", "expected a PROXY header, found b'EHLO x\\r\\n'"),
        (b"PROXY TCP4 x\r\n", "expected a line of version 1, found b'PROXY TCP4 x\\r\\n'"),
        (b"PROXY " + b"x" * 200, f"expected a line of version 1, found b'PROXY {'x' * 101}'"),
        (v2(length=5000), "expected at most 4096 octets of addresses, found 5000"),
        (v2(addresses() + b"\x04\xff\xff"), "value 0x4: expected 65535 octets, found 0"),
    ],
)
def test_a_malformed_header_ends_the_connection_without_a_word(tmp_path, loop, data, problem):
    doorman = Doorman()

    async def scenario(house):
        client = await house.connect()
        client.send(data)
        assert await last_words(client) == ""
        await house.until(lambda: not house.worker.expected)
        await client.close()

    with capture_logs() as logs:
        run(scenario, behind(tmp_path), [doorman], loop=loop)
    (logged,) = [one for one in logs if one["event"] == "no PROXY header"]
    assert (logged["log_level"], logged["problem"]) == ("warning", problem)
    assert logged["peer"].startswith("127.0.0.1:")
    assert doorman.sessions == []


def test_a_late_header_ends_the_connection(tmp_path):
    async def scenario(house):
        client = await house.connect()
        client.send(b"PROXY TCP4 ")
        await house.until(lambda: house.worker.expected)
        (handshake,) = house.worker.expected
        handshake.sweep(handshake._came + 5.0)
        assert house.worker.expected == {handshake}
        handshake.sweep(handshake._came + 5.1)
        assert not house.worker.expected
        assert await last_words(client) == ""
        await client.close()

    with capture_logs() as logs:
        run(scenario, behind(tmp_path))
    assert [one["event"] for one in logs if one["log_level"] == "warning"] == ["no PROXY header"]


@pytest.mark.parametrize("data", [b"", b"PROXY TC", V1, v2(b"", LOCAL)])
@pytest.mark.parametrize("reset", [False, True])
def test_a_health_check_is_nothing_to_speak_of(tmp_path, loop, data, reset):
    async def scenario(house):
        sock = house.connect_plainly()
        sock.sendall(data)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await house.until(lambda: house.worker.expected or house.worker.connections)
        sock.close()
        await house.until(lambda: not (house.worker.expected or house.worker.connections))

    with capture_logs() as logs:
        run(scenario, behind(tmp_path), loop=loop)
    assert [one for one in logs if one["log_level"] not in ("debug", "info")] == []


def test_whoever_is_gone_before_it_could_be_asked_who_it_was(tmp_path, loop):
    doorman = Doorman()

    async def scenario(house):
        for _ in range(20):
            sock = house.connect_plainly()
            sock.sendall(V1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        client = await house.connect()
        client.send(V1)
        assert await client.reply() == GREETING
        await client.close()

    run(scenario, behind(tmp_path), [doorman], loop=loop)
    assert {one.peer.host for one in doorman.sessions} == {"203.0.113.7"}


def test_limits_count_real_clients(tmp_path):
    async def scenario(house):
        async def greeted(host):
            client = await house.connect()
            client.send(v2(addresses(host)))
            return client, await client.reply()

        first, others = await greeted("203.0.113.7"), [await greeted("203.0.113.8")]
        second = await greeted("203.0.113.7")
        assert [reply for _, reply in (first, second, *others)] == [GREETING, TOO_MANY, GREETING]
        await first[0].close()
        await house.until(lambda: len(house.worker.connections) == 1)
        again = await greeted("203.0.113.7")
        assert again[1] == GREETING
        for client, _ in (second, again, *others):
            await client.close()

    run(scenario, behind(tmp_path, limits={"connections_per_ip": 1}))


def test_those_that_wait_count_as_connections(tmp_path):
    async def scenario(house):
        waiting = house.connect_plainly()
        await house.until(lambda: house.worker.expected)
        client = await house.connect()
        assert await client.rest() == f"{TOO_MANY}\r\n"
        client.send(V1)
        await client.close()
        waiting.close()

    run(scenario, behind(tmp_path, limits={"connections": 1}))


def test_plugins_judge_the_real_client(tmp_path):
    doorman = Doorman("203.0.113.7")

    async def scenario(house):
        client = await house.connect()
        client.send(V1)
        assert (await client.reply()).startswith("554 5.7.1 Refused by local policy")
        await client.close()

    run(scenario, behind(tmp_path), [doorman])


def test_a_trusted_and_an_untrusted_client_at_one_listener(tmp_path):
    doorman = Doorman()

    async def scenario(house):
        plain = await from_address(house, "127.0.0.9")
        assert await plain.reply() == GREETING
        proxied = await from_address(house, "127.0.0.1")
        proxied.send(V1)
        assert await proxied.reply() == GREETING
        await plain.close()
        await proxied.close()

    run(scenario, behind(tmp_path, PROXY_ONLY), [doorman])
    assert [one.peer.host for one in doorman.sessions] == ["127.0.0.9", "203.0.113.7"]


def test_a_stop_does_not_wait_for_headers(tmp_path, loop):
    async def scenario(house):
        sock = house.connect_plainly()
        await house.until(lambda: house.worker.expected)
        await house.server.stop()
        await house.until(lambda: not house.worker.expected)
        sock.close()

    run(scenario, behind(tmp_path), loop=loop)


def test_the_other_end_of_a_unix_socket_is_no_proxy(tmp_path, monkeypatch, loop):
    monkeypatch.chdir(tmp_path)
    made = behind(tmp_path, address=UnixAddress("s"))

    async def scenario(house):
        client = await house.connect()
        assert await client.reply() == GREETING
        await client.close()

    run(scenario, made, loop=loop)


@pytest.mark.parametrize(
    ("host", "within"),
    [
        ("192.0.2.7", True),
        ("192.0.3.7", False),
        ("2001:db8:1::", True),
        ("2001:db9::", False),
        ("local", False),
        ("[UNAVAILABLE]", False),
    ],
)
def test_networks(host, within):
    assert is_within(host, ELSEWHERE) is within
    assert not is_within(host, [])
