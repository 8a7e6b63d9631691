"""PROXY headers: before the greeting, from trusted networks only."""

import asyncio
import contextlib
import socket
import struct
from ipaddress import ip_network

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.server.loopback import ENVELOPE, MESSAGE, config, run
from tests.server.proxies import (
    GREETING,
    LOOPBACK,
    PROXY_ONLY,
    TOO_MANY,
    UNKNOWN,
    SessionRecorder,
    from_address,
)
from tests.wire.headers import LOCAL, TCP6, UNIX, V1, V1_IPV6, addresses, tls, v2, value

from gatepost.config.listen import UnixAddress
from gatepost.model.endpoint import Endpoint
from gatepost.model.proxy import ProxyTls
from gatepost.net.networks import is_within
from gatepost.testing import Capture

OTHER_NETWORKS = [ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")]
COMMAND_EXPECTED = "500 5.5.2 Syntax error: command unrecognised"


def behind(folder, networks=LOOPBACK, **more):
    made = config(folder, **more)
    return msgspec.structs.replace(
        made, listen=[msgspec.structs.replace(made.listen[0], proxy_from=networks)]
    )


async def read_to_end(client):
    """Return all data until the connection is closed or reset."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := await client.reader.read(1000):
            received += piece
    return received.decode()


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
def test_session_has_the_addresses_of_the_header(tmp_path, loop, header, peer, local):
    recorder, capture = SessionRecorder(), Capture()

    async def scenario(running):
        client = await running.connect()
        client.send(header)
        assert await client.reply() == GREETING
        client.send(ENVELOPE + b"DATA\r\n")
        assert await client.codes(4) == ["250", "250", "250", "354"]
        client.send(MESSAGE + b"QUIT\r\n")
        assert await client.codes(2) == ["250", "221"]
        await client.close()

    run(scenario, behind(tmp_path), [recorder, capture], loop=loop)
    (session,) = recorder.sessions
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
def test_header_without_an_address_keeps_that_of_the_connection(tmp_path, header, local_connection):
    recorder = SessionRecorder()

    async def scenario(running):
        client = await running.connect()
        client.send(header)
        assert await client.reply() == GREETING
        client.send(b"QUIT\r\n")
        assert await client.codes(1) == ["221"]
        await client.close()

    run(scenario, behind(tmp_path), [recorder])
    (session,) = recorder.sessions
    assert (session.peer, session.local.host) == (session.via, "127.0.0.1")
    assert session.proxy.local is local_connection


def test_session_has_values_and_tls_facts_of_version_2(tmp_path):
    recorder = SessionRecorder()
    header = v2(addresses() + value(5, b"id-1") + tls(version=b"TLSv1.3", cipher=b"C"))

    async def scenario(running):
        client = await running.connect()
        client.send(header)
        assert await client.reply() == GREETING
        await client.close()

    run(scenario, behind(tmp_path), [recorder])
    proxy = recorder.sessions[0].proxy
    assert proxy.value(5) == b"id-1"
    assert proxy.tls == ProxyTls("TLSv1.3", "C", certificate=True, verified=True)


@pytest.mark.parametrize("header", [V1, v2()])
def test_header_in_single_octets_is_accepted(tmp_path, loop, header):
    async def scenario(running):
        client = await running.connect()
        for octet in header + b"QUIT\r\n":
            client.send(bytes([octet]))
            await client.writer.drain()
            await asyncio.sleep(0)
        assert await client.replies(2) == [GREETING, "221 2.0.0 Closing connection"]
        await client.close()

    run(scenario, behind(tmp_path), loop=loop)


def test_data_after_the_header_belongs_to_the_client(tmp_path, loop):
    async def scenario(running):
        client = await running.connect()
        client.send(V1 + ENVELOPE)
        assert await client.codes(4) == ["220", "250", "250", "250"]
        await client.close()

    run(scenario, behind(tmp_path), loop=loop)


@pytest.mark.parametrize("networks", [[], OTHER_NETWORKS, [ip_network("127.0.0.2/32")]])
@pytest.mark.parametrize(
    ("header", "replies"),
    [
        (V1, [GREETING, UNKNOWN]),
        (
            v2(),
            [
                *(GREETING, COMMAND_EXPECTED, COMMAND_EXPECTED),
                "500 5.5.2 Syntax error: non-printable character",
                "500 5.5.2 Bare <CR> or <LF> received",
            ],
        ),
    ],
)
def test_header_from_an_untrusted_address_is_an_unknown_command(
    tmp_path, networks, header, replies
):
    recorder = SessionRecorder()

    async def scenario(running):
        client = await running.connect()
        client.send(header)
        assert await client.replies(len(replies)) == replies
        await client.close()

    run(scenario, behind(tmp_path, networks), [recorder])
    (session,) = recorder.sessions
    assert (session.peer.host, session.via, session.proxy) == ("127.0.0.1", None, None)


@pytest.mark.parametrize("second", [V1, V1_IPV6])
def test_second_header_is_an_unknown_command(tmp_path, second):
    recorder = SessionRecorder()

    async def scenario(running):
        client = await running.connect()
        client.send(V1 + second)
        assert await client.replies(2) == [GREETING, UNKNOWN]
        await client.close()

    run(scenario, behind(tmp_path), [recorder])
    assert [one.peer.host for one in recorder.sessions] == ["203.0.113.7"]


def test_second_header_of_version_2_is_a_syntax_error(tmp_path):
    async def scenario(running):
        client = await running.connect()
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
def test_malformed_header_closes_the_connection_without_a_reply(tmp_path, loop, data, problem):
    recorder = SessionRecorder()

    async def scenario(running):
        client = await running.connect()
        client.send(data)
        assert await read_to_end(client) == ""
        await running.until(lambda: not running.connections.pending)
        await client.close()

    with capture_logs() as logs:
        run(scenario, behind(tmp_path), [recorder], loop=loop)
    (logged,) = [one for one in logs if one["event"] == "PROXY header refused"]
    assert (logged["log_level"], logged["problem"]) == ("warning", problem)
    assert logged["peer"].startswith("127.0.0.1:")
    assert recorder.sessions == []


def test_late_header_closes_the_connection(tmp_path):
    async def scenario(running):
        client = await running.connect()
        client.send(b"PROXY TCP4 ")
        await running.until(lambda: running.connections.pending)
        (handshake,) = running.connections.pending
        handshake.sweep(handshake._came + 5.0)
        assert running.connections.pending == {handshake}
        handshake.sweep(handshake._came + 5.1)
        assert not running.connections.pending
        assert await read_to_end(client) == ""
        await client.close()

    with capture_logs() as logs:
        run(scenario, behind(tmp_path))
    warnings = [one["event"] for one in logs if one["log_level"] == "warning"]
    assert warnings == ["PROXY header refused"]


@pytest.mark.parametrize("data", [b"", b"PROXY TC", V1, v2(b"", LOCAL)])
@pytest.mark.parametrize("reset", [False, True])
def test_health_checks_are_not_logged_as_warnings(tmp_path, loop, data, reset):
    async def scenario(running):
        sock = running.connect_socket()
        sock.sendall(data)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await running.until(lambda: running.connections.pending or running.connections.members)
        sock.close()
        await running.until(
            lambda: not (running.connections.pending or running.connections.members)
        )

    with capture_logs() as logs:
        run(scenario, behind(tmp_path), loop=loop)
    assert [one for one in logs if one["log_level"] not in ("debug", "info")] == []


def test_connections_reset_before_accept_open_no_session(tmp_path, loop):
    recorder = SessionRecorder()

    async def scenario(running):
        for _ in range(20):
            sock = running.connect_socket()
            sock.sendall(V1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        client = await running.connect()
        client.send(V1)
        assert await client.reply() == GREETING
        await client.close()

    run(scenario, behind(tmp_path), [recorder], loop=loop)
    assert {one.peer.host for one in recorder.sessions} == {"203.0.113.7"}


def test_limits_count_the_addresses_of_the_headers(tmp_path):
    async def scenario(running):
        async def greeted(host):
            client = await running.connect()
            client.send(v2(addresses(host)))
            return client, await client.reply()

        first, others = await greeted("203.0.113.7"), [await greeted("203.0.113.8")]
        second = await greeted("203.0.113.7")
        assert [reply for _, reply in (first, second, *others)] == [GREETING, TOO_MANY, GREETING]
        await first[0].close()
        await running.until(lambda: len(running.connections.members) == 1)
        again = await greeted("203.0.113.7")
        assert again[1] == GREETING
        for client, _ in (second, again, *others):
            await client.close()

    run(scenario, behind(tmp_path, limits={"connections_per_ip": 1}))


def test_connections_without_a_header_count(tmp_path):
    async def scenario(running):
        waiting = running.connect_socket()
        await running.until(lambda: running.connections.pending)
        client = await running.connect()
        assert await client.rest() == f"{TOO_MANY}\r\n"
        client.send(V1)
        await client.close()
        waiting.close()

    run(scenario, behind(tmp_path, limits={"connections": 1}))


def test_plugins_get_the_address_of_the_header(tmp_path):
    recorder = SessionRecorder("203.0.113.7")

    async def scenario(running):
        client = await running.connect()
        client.send(V1)
        assert (await client.reply()).startswith("554 5.7.1 Refused by local policy")
        await client.close()

    run(scenario, behind(tmp_path), [recorder])


def test_proxy_and_direct_clients_at_one_listener(tmp_path):
    recorder = SessionRecorder()

    async def scenario(running):
        plain = await from_address(running, "127.0.0.9")
        assert await plain.reply() == GREETING
        proxied = await from_address(running, "127.0.0.1")
        proxied.send(V1)
        assert await proxied.reply() == GREETING
        await plain.close()
        await proxied.close()

    run(scenario, behind(tmp_path, PROXY_ONLY), [recorder])
    assert [one.peer.host for one in recorder.sessions] == ["127.0.0.9", "203.0.113.7"]


def test_stop_does_not_wait_for_headers(tmp_path, loop):
    async def scenario(running):
        sock = running.connect_socket()
        await running.until(lambda: running.connections.pending)
        await running.server.stop()
        await running.until(lambda: not running.connections.pending)
        sock.close()
        return running.connections.pending

    assert run(scenario, behind(tmp_path), loop=loop) == set()


def test_unix_socket_needs_no_header(tmp_path, monkeypatch, loop):
    monkeypatch.chdir(tmp_path)
    made = behind(tmp_path, address=UnixAddress("s"))

    async def scenario(running):
        client = await running.connect()
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
def test_address_is_within_networks(host, within):
    assert is_within(host, OTHER_NETWORKS) is within
    assert not is_within(host, [])
