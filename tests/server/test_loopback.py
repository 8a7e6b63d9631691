"""Connections over real sockets: order of replies, limits, time-outs, ends."""

import asyncio
import os
import socket
import struct

import pytest
from structlog.testing import capture_logs
from tests.server.loopback import ENVELOPE, HELO, MESSAGE, config, run

from gatepost.config.listen import InetAddress, InheritedSocket, UnixAddress
from gatepost.config.schema import ServerConfig as Settings
from gatepost.config.schema import TrapsConfig
from gatepost.model.decision import accept
from gatepost.model.session import Endpoint
from gatepost.net.sockets import ListenFailedError, bind
from gatepost.plugin.base import Plugin
from gatepost.server.connection import LINGER, MAX_UNREAD, endpoint
from gatepost.server.server import Server
from gatepost.session.assemble import SetupError
from gatepost.testing import Capture


class ReadyQueue(Plugin):
    """Holds one hook until told to go on."""

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


def test_a_whole_message(tmp_path, loop):
    capture = Capture()

    async def scenario(house):
        client = await house.connect()
        client.send(ENVELOPE + b"DATA\r\n")
        assert await client.codes(5) == ["220", "250", "250", "250", "354"]
        client.send(MESSAGE + b"QUIT\r\n")
        assert await client.codes(2) == ["250", "221"]
        assert await client.rest() == ""
        await client.close()

    run(scenario, config(tmp_path), [capture], loop=loop)
    assert capture.messages[0].content.endswith(b"\r\nSubject: x\r\n\r\ntext\r\n")


def test_one_byte_at_a_time(tmp_path, loop):
    async def scenario(house):
        client = await house.connect()
        for byte in ENVELOPE + b"DATA\r\n" + MESSAGE:
            client.send(bytes([byte]))
            await client.writer.drain()
        assert await client.codes(6) == ["220", "250", "250", "250", "354", "250"]
        await client.close()

    run(scenario, config(tmp_path), loop=loop)


def test_a_trap_spoils_the_message(tmp_path, loop):
    (tmp_path / "verybadrcptto").write_text("trap@example.com a note\n")
    traps = TrapsConfig(lists=["verybadrcptto"], delay=0.0)

    async def scenario(house):
        client = await house.connect()
        client.send(ENVELOPE + b"RCPT TO:<trap@example.com>\r\nDATA\r\nNOOP\r\n")
        replies = await client.replies(7)
        assert [one[:3] for one in replies] == ["220", "250", "250", "250", "250", "554", "250"]
        assert replies[5].startswith("554 5.7.1 Message refused by local policy [")
        await client.close()

    run(scenario, config(tmp_path, traps=traps), loop=loop)


def test_a_change_of_a_list_comes_into_force(tmp_path, monkeypatch):
    path = tmp_path / "verybadrcptto"
    path.write_text("other@example.com\n")
    watchers = []

    def start(watcher):
        watchers.append(watcher)

    monkeypatch.setattr("gatepost.server.server.FileWatcher.start", start)

    async def refused(house):
        client = await house.connect()
        client.send(ENVELOPE + b"DATA\r\n")
        *_, last = await client.codes(5)
        await client.close()
        return last == "554"

    async def scenario(house):
        assert not await refused(house)
        (tmp_path / "new").write_text("other@example.com\none@example.com\n")
        (tmp_path / "new").replace(path)
        await watchers[0].poll()
        assert await refused(house)
        path.unlink()
        await watchers[0].poll()
        assert await refused(house)

    run(scenario, config(tmp_path, traps=TrapsConfig(lists=["verybadrcptto"], delay=0.0)))


def test_a_silent_client_is_timed_out(tmp_path, loop):
    async def scenario(house):
        client = await house.connect()
        await client.reply()
        house.worker.sweep_later(299.0)
        client.send(b"NOOP\r\n")
        assert await client.reply() == "250 2.0.0 Ok"
        house.worker.sweep_later(302.0)
        assert await client.rest() == "421 4.4.2 Timed out waiting for the client\r\n"
        await client.close()

    run(scenario, config(tmp_path), loop=loop)


def test_within_a_message_the_time_out_is_another(tmp_path):
    async def scenario(house):
        client = await house.connect()
        client.send(ENVELOPE + b"DATA\r\n")
        await client.replies(5)
        house.worker.sweep_later(302.0)
        client.send(b"text\r\n.\r\n")
        assert (await client.reply())[:3] == "250"
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<one@example.com>\r\nDATA\r\n")
        await client.replies(3)
        house.worker.sweep_later(602.0)
        assert await client.rest() == "421 4.4.2 Timed out waiting for the client\r\n"
        await client.close()

    run(scenario, config(tmp_path))


def test_a_client_that_waits_for_a_plugin_is_not_timed_out(tmp_path):
    waiting = ReadyQueue("noop")

    async def scenario(house):
        client = await house.connect()
        client.send(HELO + b"NOOP\r\n")
        await waiting.waits.wait()
        house.worker.sweep_later(1000.0)
        waiting.go_on.set()
        assert await client.codes(3) == ["220", "250", "250"]
        await client.close()

    run(scenario, config(tmp_path), [waiting])


def test_too_many_connections_from_one_address(tmp_path, loop):
    async def scenario(house):
        clients = [await house.connect() for _ in range(3)]
        assert await clients[0].codes(1) == await clients[1].codes(1) == ["220"]
        assert await clients[2].rest() == "421 4.7.0 Too many connections, try again later\r\n"
        await clients[0].close()
        await house.until(lambda: len(house.worker.connections) == 1)
        again = await house.connect()
        assert await again.codes(1) == ["220"]
        for one in (*clients, again):
            await one.close()

    run(scenario, config(tmp_path, limits={"connections_per_ip": 2, "exempt": []}), loop=loop)


def test_a_connection_refused_takes_nobodys_place(tmp_path):
    async def scenario(house):
        first = await house.connect()
        await first.reply()
        refused = [await house.connect() for _ in range(5)]
        assert [(await one.rest())[:3] for one in refused] == ["421"] * 5
        await house.until(lambda: len(house.worker.connections) == 1)
        for one in (first, *refused):
            await one.close()

    run(scenario, config(tmp_path, limits={"connections": 1}))


def test_what_comes_while_a_plugin_thinks_is_buffered_up_to_a_bound(tmp_path, loop):
    waiting = ReadyQueue("data")

    async def scenario(house):
        client = await house.connect()
        client.send(ENVELOPE + b"DATA\r\n")
        await waiting.waits.wait()
        [connection] = house.worker.connections
        paused = []
        pause = connection._transport.pause_reading

        class Transport:
            def __getattr__(self, name):
                return getattr(transport, name)

            def pause_reading(self):
                paused.append(True)
                pause()

        transport, connection._transport = connection._transport, Transport()
        body = b"x" * 70 + b"\r\n"
        client.send(body * 60_000 + b".\r\nNOOP\r\n")
        await house.until(lambda: paused)
        assert MAX_UNREAD < connection._wire.unread < MAX_UNREAD * 3
        waiting.go_on.set()
        assert await client.codes(7) == ["220", "250", "250", "250", "354", "250", "250"]
        await client.close()

    run(scenario, config(tmp_path), [waiting], loop=loop)


def test_a_client_that_sends_no_more_still_gets_its_answers(tmp_path, loop):
    waiting, capture = ReadyQueue("rcpt"), Capture()

    async def scenario(house):
        client = await house.connect()
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
def test_a_client_that_is_gone(tmp_path, loop, hook, taken):
    waiting, capture = ReadyQueue(hook), Capture()

    async def scenario(house):
        client = house.connect_plainly()
        client.sendall(ENVELOPE + b"DATA\r\n" + MESSAGE)
        await waiting.waits.wait()
        [connection] = house.worker.connections
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await house.until(lambda: connection._lost)
        waiting.go_on.set()
        await house.until(lambda: not house.worker.connections)

    run(scenario, config(tmp_path), [waiting, capture], loop=loop)
    assert len(capture.messages) == taken
    assert waiting.left


def test_a_refusal_reaches_a_client_that_is_still_sending(tmp_path, loop):
    async def scenario(house):
        client = await house.connect()
        client.send(HELO + b"NOOP " + b"x" * 3000 + b"\r\n" + b"NOOP\r\n" * 50_000)
        assert await client.codes(3) == ["220", "250", "500"]
        assert await client.rest() == ""
        await client.close()
        await house.until(lambda: not house.worker.connections)

    run(scenario, config(tmp_path), loop=loop)


def test_a_client_that_goes_on_sending_after_the_refusal_is_cut_off(tmp_path, loop):
    async def scenario(house):
        client = await house.connect()
        client.send(b"GET / HTTP/1.1\r\n")
        assert await client.codes(2) == ["220", "554"]
        assert await client.rest() == ""
        [connection] = house.worker.connections
        since = connection.since
        house.worker.now += 1.0
        client.send(b"Host: x\r\n")
        await client.writer.drain()
        house.worker.sweep_later(LINGER - 1.5)
        assert connection.since == since
        assert not connection._transport.is_closing()
        house.worker.sweep_later(LINGER)
        await house.until(lambda: not house.worker.connections)
        await client.close()

    run(scenario, config(tmp_path), loop=loop)


def test_a_timed_out_client_has_time_to_read_why(tmp_path):
    async def scenario(house):
        client = await house.connect()
        await client.reply()
        [connection] = house.worker.connections
        house.worker.now += 400.0
        house.worker.sweep_later(0.0)
        house.worker.sweep_later(LINGER - 1.0)
        assert not connection._transport.is_closing()
        assert (await client.rest())[:3] == "421"
        await client.close()

    run(scenario, config(tmp_path))


def test_a_stop_lets_messages_come_to_their_end_and_the_rest_go(tmp_path, loop):
    waiting, capture = ReadyQueue("deliver"), Capture()

    async def main():
        server = Server(config(tmp_path), [waiting, capture])
        await server.start()
        from tests.server.loopback import House

        house = House(server)
        idle, busy = await house.connect(), await house.connect()
        await idle.reply()
        busy.send(ENVELOPE + b"DATA\r\n" + MESSAGE + b"MAIL FROM:<>\r\nNOOP\r\n")
        await waiting.waits.wait()
        stopping = asyncio.ensure_future(server.stop())
        assert (await idle.rest()).startswith("421 4.3.2 Server is shutting down")
        await idle.close()
        with pytest.raises(OSError):
            await house.connect()
        waiting.go_on.set()
        assert await busy.codes(6) == ["220", "250", "250", "250", "354", "250"]
        assert (await busy.rest()).startswith("421 4.3.2 Server is shutting down")
        await busy.close()
        await stopping

    from tests.server.loopback import LOOPS

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())
    assert len(capture.messages) == 1


def test_a_stop_does_not_wait_for_ever(tmp_path):
    impatient = Settings(stop_timeout=0.01)
    stopped = []

    class Told(Plugin):
        async def on_disconnect(self, session):
            stopped.append("disconnect")

        def stop(self):
            stopped.append("stop")

    async def scenario(house):
        client = house.connect_plainly()
        client.sendall(ENVELOPE)
        await house.until(lambda: any(not one.idle for one in house.worker.connections))
        return client

    run(scenario, config(tmp_path, server=impatient), [Told()]).close()
    assert stopped == ["disconnect", "stop"]


def test_a_client_that_comes_while_the_server_stops(tmp_path):
    async def scenario(house):
        house.worker.draining = True
        client = await house.connect()
        assert (await client.rest())[:3] == "421"
        await client.close()

    run(scenario, config(tmp_path))


def test_the_sweep_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("gatepost.server.connections.SWEEP", 0.001)

    async def scenario(house):
        client = await house.connect()
        assert (await client.rest()).endswith("421 4.4.2 Timed out waiting for the client\r\n")
        await client.close()

    run(scenario, config(tmp_path, limits={"command_timeout": 0.0}))


def test_entries_of_a_trap_list_that_are_not_armed_are_reported(tmp_path):
    (tmp_path / "list").write_text("one@example.com\npostmaster@example.com\n")

    async def scenario(_house):
        return None

    with capture_logs() as logs:
        run(scenario, config(tmp_path, traps=TrapsConfig(lists=["list"])))
    assert [one["problem"] for one in logs if one["event"] == "trap not armed"] == [
        f"{tmp_path}/list:2: postmaster@example.com is not armed: it is a role address (RFC 2142)"
    ]


def test_a_unix_socket(tmp_path):
    made = config(tmp_path, address=UnixAddress("gp.sock"))
    peers = []

    class Look(Plugin):
        def on_connect(self, session):
            peers.append((session.peer, session.local))

    async def scenario(house):
        assert house.server.addresses == [("smtp", f"unix:{tmp_path}/gp.sock")]
        client = await house.connect()
        assert await client.codes(1) == ["220"]
        await client.close()

    run(scenario, made, [Look()])
    run(scenario, made, [Look()])
    assert peers == [(Endpoint("local"), Endpoint(f"{tmp_path}/gp.sock"))] * 2


def test_an_inherited_socket(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        made = config(tmp_path, address=InheritedSocket(sock.fileno()))

        async def scenario(house):
            assert house.server.addresses == [("smtp", f"127.0.0.1:{port}")]
            client = await house.connect()
            assert await client.codes(1) == ["220"]
            await client.close()

        run(scenario, made)


def test_ipv6(tmp_path):
    async def scenario(house):
        assert house.server.addresses[0][1].startswith("[::1]:")
        client = await house.connect()
        assert await client.codes(1) == ["220"]
        await client.close()

    run(scenario, config(tmp_path, address=InetAddress("::1", 0)))


def test_an_address_that_is_taken_is_named_and_nothing_left_behind(tmp_path):
    events = []

    class Told(Plugin):
        def start(self):
            events.append("start")

        def stop(self):
            events.append("stop")

    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        made = config(tmp_path, address=InetAddress("127.0.0.1", port))
        with pytest.raises(ListenFailedError) as caught:
            asyncio.run(Server(made, [Told()]).start())
    assert str(caught.value) == (f"cannot listen on 127.0.0.1:{port}: {os.strerror(98)}")
    assert events == ["start", "stop"]


def test_a_unix_address_that_cannot_be_bound(tmp_path):
    (tmp_path / "file").write_text("no socket")
    with pytest.raises(ListenFailedError, match="cannot listen on unix:file: Address already"):
        bind(UnixAddress("file"), tmp_path)
    assert (tmp_path / "file").read_text() == "no socket"


def test_an_inherited_descriptor_that_is_none(tmp_path):
    with pytest.raises(ListenFailedError, match="cannot listen on fd:9999: Bad file descriptor"):
        bind(InheritedSocket(9999), tmp_path)


def test_lists_that_are_missing_are_all_named(tmp_path):
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
def test_the_name_of_an_end(name, expected):
    assert endpoint(name) == expected


def test_replies_leave_without_waiting_for_more(tmp_path):
    """Nagle's algorithm would hold the second small write back."""

    async def scenario(house):
        client = await house.connect()
        await client.reply()
        [connection] = house.worker.connections
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await client.close()

    run(scenario, config(tmp_path))


def test_plugins_given_in_code_come_after_those_of_the_configuration(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from gatepost import Plugin, deny\n"
        "class Mine(Plugin):\n"
        "    def on_mail(self, tx, sender):\n"
        "        return deny('first')\n"
    )
    from gatepost.config.schema import PluginConfig

    class Second(Plugin):
        def on_mail(self, tx, sender):
            return accept()

    async def scenario(house):
        client = await house.connect()
        client.send(HELO + b"MAIL FROM:<>\r\n")
        assert (await client.replies(3))[2].startswith("550 5.7.1 first [")
        await client.close()

    run(scenario, config(tmp_path, plugin=[PluginConfig(use="mine.py")]), [Second()])
