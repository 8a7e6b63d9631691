"""Connections over real sockets: order of replies, limits, time-outs, shutdown."""

import asyncio
import gc
import os
import socket
import struct

import pytest
from structlog.testing import capture_logs
from tests.server.loopback import ENVELOPE, HELO, LOOPS, MESSAGE, LoopbackServer, config, run

from gatepost.config.listen import InetAddress, InheritedSocket, UnixAddress
from gatepost.config.schema import PluginConfig, TrapsConfig
from gatepost.config.schema import ServerConfig as Settings
from gatepost.model.decision import accept
from gatepost.model.endpoint import Endpoint
from gatepost.net.sockets import ListenFailedError, bind
from gatepost.plugin.base import Plugin
from gatepost.server.client_identity import endpoint
from gatepost.server.connection import Connection
from gatepost.server.deadlines import LINGER
from gatepost.server.pump import MAX_UNREAD
from gatepost.server.server import Server
from gatepost.session.assemble import SetupError
from gatepost.testing import Capture


class WaitingPlugin(Plugin):
    """Suspends one hook until the test sets `go_on`."""

    def __init__(self, hook):
        super().__init__()
        self.waits, self.go_on, self.left = asyncio.Event(), asyncio.Event(), False
        setattr(self, f"on_{hook}", self._wait)

    async def _wait(self, *_args):
        self.waits.set()
        try:
            await self.go_on.wait()
        finally:
            self.left = True


def test_message_is_delivered(tmp_path, loop):
    capture = Capture()

    async def scenario(running):
        client = await running.connect()
        client.send(ENVELOPE + b"DATA\r\n")
        assert await client.codes(5) == ["220", "250", "250", "250", "354"]
        client.send(MESSAGE + b"QUIT\r\n")
        assert await client.codes(2) == ["250", "221"]
        assert await client.rest() == ""
        await client.close()

    run(scenario, config(tmp_path), [capture], loop=loop)
    assert capture.messages[0].content.endswith(b"\r\nSubject: x\r\n\r\ntext\r\n")


def test_a_connection_that_has_ended_needs_no_garbage_collection(tmp_path, loop):
    def left(number):
        return any(type(one) is Connection and id(one) == number for one in gc.get_objects())

    async def scenario(running):
        client = await running.connect()
        client.send(ENVELOPE)
        await client.codes(4)
        number = id(next(iter(running.connections.members)))
        assert left(number)
        client.send(b"QUIT\r\n")
        await client.rest()
        await client.close()
        await running.until(lambda: not left(number))

    gc.disable()
    try:
        run(scenario, config(tmp_path), loop=loop)
    finally:
        gc.enable()


def test_message_in_single_bytes_is_accepted(tmp_path, loop):
    async def scenario(running):
        client = await running.connect()
        for byte in ENVELOPE + b"DATA\r\n" + MESSAGE:
            client.send(bytes([byte]))
            await client.writer.drain()
        assert await client.codes(6) == ["220", "250", "250", "250", "354", "250"]
        await client.close()

    run(scenario, config(tmp_path), loop=loop)


def test_trap_refuses_the_message(tmp_path, loop):
    (tmp_path / "verybadrcptto").write_text("trap@example.com a note\n")
    traps = TrapsConfig(lists=["verybadrcptto"], delay=0.0)

    async def scenario(running):
        client = await running.connect()
        client.send(ENVELOPE + b"RCPT TO:<trap@example.com>\r\nDATA\r\nNOOP\r\n")
        replies = await client.replies(7)
        assert [one[:3] for one in replies] == ["220", "250", "250", "250", "250", "554", "250"]
        assert replies[5].startswith("554 5.7.1 Message refused by local policy")
        await client.close()

    run(scenario, config(tmp_path, traps=traps), loop=loop)


def test_changed_list_is_in_force_and_a_removed_one_stays(tmp_path, monkeypatch):
    path = tmp_path / "verybadrcptto"
    path.write_text("other@example.com\n")
    watchers = []

    def start(watcher):
        watchers.append(watcher)

    monkeypatch.setattr("gatepost.server.server.FileWatcher.start", start)

    async def refused(running):
        client = await running.connect()
        client.send(ENVELOPE + b"DATA\r\n")
        *_, last = await client.codes(5)
        await client.close()
        return last == "554"

    async def scenario(running):
        assert not await refused(running)
        (tmp_path / "new").write_text("other@example.com\none@example.com\n")
        (tmp_path / "new").replace(path)
        await watchers[0].poll()
        assert await refused(running)
        path.unlink()
        await watchers[0].poll()
        assert await refused(running)

    run(scenario, config(tmp_path, traps=TrapsConfig(lists=["verybadrcptto"], delay=0.0)))


def test_idle_client_is_timed_out(tmp_path, loop):
    async def scenario(running):
        client = await running.connect()
        await client.reply()
        running.connections.sweep_later(299.0)
        client.send(b"NOOP\r\n")
        assert await client.reply() == "250 2.0.0 Ok"
        running.connections.sweep_later(302.0)
        assert await client.rest() == "421 4.4.2 Timeout exceeded\r\n"
        await client.close()

    run(scenario, config(tmp_path), loop=loop)


def test_content_has_its_own_time_out(tmp_path):
    async def scenario(running):
        client = await running.connect()
        client.send(ENVELOPE + b"DATA\r\n")
        await client.replies(5)
        running.connections.sweep_later(302.0)
        client.send(b"text\r\n.\r\n")
        assert (await client.reply())[:3] == "250"
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<one@example.com>\r\nDATA\r\n")
        await client.replies(3)
        running.connections.sweep_later(602.0)
        assert await client.rest() == "421 4.4.2 Timeout exceeded\r\n"
        await client.close()

    run(scenario, config(tmp_path))


def test_client_is_not_timed_out_during_a_hook(tmp_path):
    waiting = WaitingPlugin("noop")

    async def scenario(running):
        client = await running.connect()
        client.send(HELO + b"NOOP\r\n")
        await waiting.waits.wait()
        running.connections.sweep_later(1000.0)
        waiting.go_on.set()
        assert await client.codes(3) == ["220", "250", "250"]
        await client.close()

    run(scenario, config(tmp_path), [waiting])


def test_connections_per_ip_are_limited(tmp_path, loop):
    async def scenario(running):
        clients = [await running.connect() for _ in range(3)]
        assert await clients[0].codes(1) == await clients[1].codes(1) == ["220"]
        assert await clients[2].rest() == "421 4.7.0 Too many connections, try again later\r\n"
        await clients[0].close()
        await running.until(lambda: len(running.connections.members) == 1)
        again = await running.connect()
        assert await again.codes(1) == ["220"]
        for one in (*clients, again):
            await one.close()

    run(scenario, config(tmp_path, limits={"connections_per_ip": 2, "exempt": []}), loop=loop)


def test_refused_connections_do_not_count(tmp_path):
    async def scenario(running):
        first = await running.connect()
        await first.reply()
        refused = [await running.connect() for _ in range(5)]
        assert [(await one.rest())[:3] for one in refused] == ["421"] * 5
        await running.until(lambda: len(running.connections.members) == 1)
        for one in (first, *refused):
            await one.close()

    run(scenario, config(tmp_path, limits={"connections": 1}))


def test_data_received_during_a_hook_is_buffered_up_to_a_limit(tmp_path, loop):
    waiting = WaitingPlugin("data")

    async def scenario(running):
        client = await running.connect()
        client.send(ENVELOPE + b"DATA\r\n")
        await waiting.waits.wait()
        [connection] = running.connections.members
        paused = []
        pause = connection.pump.transport.pause_reading

        class Transport:
            def __getattr__(self, name):
                return getattr(transport, name)

            def pause_reading(self):
                paused.append(True)
                pause()

        transport, connection.pump.transport = connection.pump.transport, Transport()
        body = b"x" * 70 + b"\r\n"
        client.send(body * 60_000 + b".\r\nNOOP\r\n")
        await running.until(lambda: paused)
        assert MAX_UNREAD < connection._wire.unread <= MAX_UNREAD + 256 * 1024
        waiting.go_on.set()
        assert await client.codes(7) == ["220", "250", "250", "250", "354", "250", "250"]
        await client.close()

    run(scenario, config(tmp_path), [waiting], loop=loop)


def test_client_gets_all_replies_after_its_end_of_file(tmp_path, loop):
    waiting, capture = WaitingPlugin("rcpt"), Capture()

    async def scenario(running):
        client = await running.connect()
        client.send(ENVELOPE + b"DATA\r\n" + MESSAGE)
        client.writer.write_eof()
        await waiting.waits.wait()
        waiting.go_on.set()
        assert await client.codes(6) == ["220", "250", "250", "250", "354", "250"]
        assert await client.rest() == ""
        await client.close()

    run(scenario, config(tmp_path), [waiting, capture], loop=loop)
    assert len(capture.messages) == 1


@pytest.mark.parametrize(("hook", "taken"), [("message", 0), ("data", 0), ("deliver", 1)])
def test_disconnect_cancels_hooks_but_not_a_delivery(tmp_path, loop, hook, taken):
    waiting, capture = WaitingPlugin(hook), Capture()

    async def scenario(running):
        client = running.connect_socket()
        client.sendall(ENVELOPE + b"DATA\r\n" + MESSAGE)
        await waiting.waits.wait()
        [connection] = running.connections.members
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await running.until(lambda: connection.pump.lost)
        waiting.go_on.set()
        await running.until(lambda: not running.connections.members)

    run(scenario, config(tmp_path), [waiting, capture], loop=loop)
    assert len(capture.messages) == taken
    assert waiting.left


def test_refusal_reaches_a_client_that_still_sends(tmp_path, loop):
    async def scenario(running):
        client = await running.connect()
        client.send(HELO + b"NOOP " + b"x" * 3000 + b"\r\n" + b"NOOP\r\n" * 50_000)
        assert await client.codes(3) == ["220", "250", "500"]
        assert await client.rest() == ""
        await client.close()
        await running.until(lambda: not running.connections.members)

    run(scenario, config(tmp_path), loop=loop)


def test_client_that_sends_after_a_refusal_is_disconnected(tmp_path, loop):
    async def scenario(running):
        client = await running.connect()
        client.send(b"GET / HTTP/1.1\r\n")
        assert await client.codes(2) == ["220", "554"]
        assert await client.rest() == ""
        [connection] = running.connections.members
        since = connection._deadlines.since
        running.connections.now += 1.0
        client.send(b"Host: x\r\n")
        await client.writer.drain()
        running.connections.sweep_later(LINGER - 1.5)
        assert connection._deadlines.since == since
        assert not connection.pump.transport.is_closing()
        running.connections.sweep_later(LINGER)
        await running.until(lambda: not running.connections.members)
        await client.close()

    run(scenario, config(tmp_path), loop=loop)


def test_timed_out_client_can_still_read_the_reply(tmp_path):
    async def scenario(running):
        client = await running.connect()
        await client.reply()
        [connection] = running.connections.members
        running.connections.now += 400.0
        running.connections.sweep_later(0.0)
        running.connections.sweep_later(LINGER - 1.0)
        assert not connection.pump.transport.is_closing()
        assert (await client.rest())[:3] == "421"
        await client.close()

    run(scenario, config(tmp_path))


def test_stop_completes_deliveries_and_dismisses_idle_clients(tmp_path, loop):
    waiting, capture = WaitingPlugin("deliver"), Capture()

    async def main():
        server = Server(config(tmp_path), [waiting, capture])
        await server.start()
        running = LoopbackServer(server)
        idle, busy = await running.connect(), await running.connect()
        await idle.reply()
        busy.send(ENVELOPE + b"DATA\r\n" + MESSAGE + b"MAIL FROM:<>\r\nNOOP\r\n")
        await waiting.waits.wait()
        stopping = asyncio.ensure_future(server.stop())
        assert (await idle.rest()).startswith("421 4.3.2 Server shutting down, try again later")
        await idle.close()
        with pytest.raises(OSError):
            await running.connect()
        waiting.go_on.set()
        assert await busy.codes(6) == ["220", "250", "250", "250", "354", "250"]
        assert (await busy.rest()).startswith("421 4.3.2 Server shutting down, try again later")
        await busy.close()
        await stopping

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())
    assert len(capture.messages) == 1


def test_stop_ends_after_stop_timeout(tmp_path):
    impatient = Settings(stop_timeout=0.01)
    stopped = []

    class EventRecorder(Plugin):
        async def on_disconnect(self, session):
            stopped.append("disconnect")

        def stop(self):
            stopped.append("stop")

    async def scenario(running):
        client = running.connect_socket()
        client.sendall(ENVELOPE)
        await running.until(lambda: any(not one.idle for one in running.connections.members))
        return client

    run(scenario, config(tmp_path, server=impatient), [EventRecorder()]).close()
    assert stopped == ["disconnect", "stop"]


def test_connection_during_a_stop_is_refused(tmp_path):
    async def scenario(running):
        running.connections.draining = True
        client = await running.connect()
        assert (await client.rest())[:3] == "421"
        await client.close()

    run(scenario, config(tmp_path))


def test_deadlines_are_checked_periodically(tmp_path, monkeypatch):
    monkeypatch.setattr("gatepost.server.connections.SWEEP", 0.001)

    async def scenario(running):
        client = await running.connect()
        assert (await client.rest()).endswith("421 4.4.2 Timeout exceeded\r\n")
        await client.close()

    run(scenario, config(tmp_path, limits={"command_timeout": 0.0}))


def test_unarmed_entries_of_a_trap_list_are_reported(tmp_path):
    (tmp_path / "list").write_text("one@example.com\npostmaster@example.com\n")

    async def scenario(_running):
        return None

    with capture_logs() as logs:
        run(scenario, config(tmp_path, traps=TrapsConfig(lists=["list"])))
    assert [one["problem"] for one in logs if one["event"] == "trap not armed"] == [
        f"{tmp_path}/list:2: postmaster@example.com is not armed: it is a role address (RFC 2142)"
    ]


def test_unix_socket_is_bound_again_after_a_stop(tmp_path):
    made = config(tmp_path, address=UnixAddress("gp.sock"))
    peers = []

    class PeerRecorder(Plugin):
        def on_connect(self, session):
            peers.append((session.peer, session.local))

    async def scenario(running):
        assert running.server.addresses == [("smtp", f"unix:{tmp_path}/gp.sock")]
        client = await running.connect()
        assert await client.codes(1) == ["220"]
        await client.close()

    run(scenario, made, [PeerRecorder()])
    run(scenario, made, [PeerRecorder()])
    assert peers == [(Endpoint("local"), Endpoint(f"{tmp_path}/gp.sock"))] * 2


def test_inherited_socket_accepts_connections(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        made = config(tmp_path, address=InheritedSocket(sock.fileno()))

        async def scenario(running):
            assert running.server.addresses == [("smtp", f"127.0.0.1:{port}")]
            client = await running.connect()
            assert await client.codes(1) == ["220"]
            await client.close()

        run(scenario, made)


def test_ipv6_listener_accepts_connections(tmp_path):
    async def scenario(running):
        assert running.server.addresses[0][1].startswith("[::1]:")
        client = await running.connect()
        assert await client.codes(1) == ["220"]
        await client.close()

    run(scenario, config(tmp_path, address=InetAddress("::1", 0)))


def test_address_in_use_is_named_and_plugins_are_stopped(tmp_path):
    events = []

    class EventRecorder(Plugin):
        def start(self):
            events.append("start")

        def stop(self):
            events.append("stop")

    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        made = config(tmp_path, address=InetAddress("127.0.0.1", port))
        with pytest.raises(ListenFailedError) as caught:
            asyncio.run(Server(made, [EventRecorder()]).start())
    assert str(caught.value) == (f"cannot listen on 127.0.0.1:{port}: {os.strerror(98)}")
    assert events == ["start", "stop"]


def test_unix_address_does_not_replace_a_regular_file(tmp_path):
    (tmp_path / "file").write_text("no socket")
    with pytest.raises(ListenFailedError, match="cannot listen on unix:file: Address already"):
        bind(UnixAddress("file"), tmp_path)
    assert (tmp_path / "file").read_text() == "no socket"


def test_invalid_inherited_descriptor_is_refused(tmp_path):
    with pytest.raises(ListenFailedError, match="cannot listen on fd:9999: Bad file descriptor"):
        bind(InheritedSocket(9999), tmp_path)


def test_all_missing_lists_are_named(tmp_path):
    made = config(tmp_path, traps=TrapsConfig(lists=["a", "b"]))
    with pytest.raises(SetupError) as caught:
        asyncio.run(Server(made).start())
    assert caught.value.problems == [
        f"{tmp_path}/{name}: cannot be read: No such file or directory" for name in "ab"
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (("192.0.2.1", 25), Endpoint("192.0.2.1", 25)),
        (("::ffff:192.0.2.1", 25, 0, 0), Endpoint("192.0.2.1", 25)),
        (("2001:db8::1", 25, 0, 0), Endpoint("2001:db8::1", 25)),
        ("", Endpoint("local")),
        (None, Endpoint("local")),
        ("/run/gp.sock", Endpoint("/run/gp.sock")),
    ],
)
def test_endpoint_of_a_socket_name(name, expected):
    assert endpoint(name) == expected


def test_replies_are_sent_with_tcp_nodelay(tmp_path):
    """With Nagle's algorithm a second small write would wait for an acknowledgement."""

    async def scenario(running):
        client = await running.connect()
        await client.reply()
        [connection] = running.connections.members
        sock = connection.pump.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await client.close()

    run(scenario, config(tmp_path))


def test_configured_plugins_run_before_those_given_in_code(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from gatepost import Plugin, deny\n"
        "class Mine(Plugin):\n"
        "    def on_mail(self, tx, sender):\n"
        "        return deny('first')\n"
    )

    class Second(Plugin):
        def on_mail(self, tx, sender):
            return accept()

    async def scenario(running):
        client = await running.connect()
        client.send(HELO + b"MAIL FROM:<>\r\n")
        assert (await client.replies(3))[2].startswith("550 5.7.1 first")
        await client.close()

    run(scenario, config(tmp_path, plugin=[PluginConfig(use="mine.py")]), [Second()])
