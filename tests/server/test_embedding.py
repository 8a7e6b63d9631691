"""The server inside other programs: in their event loop, beside another, in a thread of its own."""

import asyncio
import smtplib
import threading

import pytest
from msgspec.structs import replace
from tests.server.loopback import LOOPS, config

from gatepost.config.schema import RecipientsConfig
from gatepost.model.decision import deny
from gatepost.plugin.base import Plugin
from gatepost.server.server import Server
from gatepost.session.assemble import SetupError
from gatepost.testing import DEFAULT_CONFIG, Capture, RunningServer

pytest_plugins = ["gatepost.pytest_plugin"]

LETTER = b"Subject: x\r\n\r\ntext\r\n"


def send(address, recipient="one@example.com"):
    with smtplib.SMTP(*address) as client:
        client.sendmail("a@client.example", [recipient], LETTER)


def where(server):
    host, _, port = server.addresses[0][1].rpartition(":")
    return host, int(port)


def in_loop(program, loop):
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(asyncio.wait_for(program, 60))


def test_two_servers_in_one_loop(tmp_path, loop):
    captures = [Capture(), Capture()]

    async def program():
        async with (
            Server(config(tmp_path / "a"), [captures[0]]) as one,
            Server(config(tmp_path / "b"), [captures[1]]) as two,
        ):
            assert where(one) != where(two)
            await asyncio.to_thread(send, where(one), "one@example.com")
            await asyncio.to_thread(send, where(two), "two@example.com")

    in_loop(program(), loop)
    assert [[one.recipients for one in capture.messages] for capture in captures] == [
        [["one@example.com"]],
        [["two@example.com"]],
    ]


def test_a_client_is_told_when_the_server_stops(tmp_path, loop):
    async def program():
        async with Server(config(tmp_path)) as server:
            reader, writer = await asyncio.open_connection(*where(server))
            assert (await reader.readline())[:3] == b"220"
            stop = asyncio.create_task(server.stop())
            assert (await reader.readline())[:9] == b"421 4.3.2"
            assert await reader.read() == b""
            writer.close()
            await stop
            with pytest.raises(OSError):
                await asyncio.open_connection(*where(server))

    in_loop(program(), loop)


def test_a_stop_waits_no_longer_than_it_is_told_to(tmp_path, loop):
    """A client in the middle of its message would have thirty seconds otherwise."""

    async def program():
        async with Server(config(tmp_path), patience=0.0) as server:
            reader, writer = await asyncio.open_connection(*where(server))
            writer.write(b"EHLO x\r\nMAIL FROM:<>\r\n")
            while not (await reader.readline()).startswith(b"250 2.1.0"):
                pass
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()

    in_loop(program(), loop)


def test_nothing_is_left_behind(tmp_path, loop):
    async def program():
        before = asyncio.all_tasks()
        async with Server(config(tmp_path)) as server:
            await asyncio.to_thread(send, where(server))
        return asyncio.all_tasks() - before

    assert in_loop(program(), loop) == set()


class NoFriday(Plugin):
    def on_rcpt(self, tx, rcpt):
        return deny("closed") if tx.received_at.weekday() == 4 else None


def test_a_server_in_a_thread():
    before = threading.active_count()
    with RunningServer() as server:
        send(server.address)
        assert [one.recipients for one in server.messages] == [["one@example.com"]]
    assert threading.active_count() == before
    with pytest.raises(OSError):
        send(server.address)
    assert server.messages[0].reverse_path == "a@client.example"


def test_plugins_clock_and_configuration_are_as_asked_for():
    made = replace(DEFAULT_CONFIG, recipients=RecipientsConfig(domains=["other.example"]))
    with RunningServer([NoFriday()], config=made, now="2024-01-05T12:00") as server:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as error:
            send(server.address, "one@other.example")
        assert error.value.recipients["one@other.example"][1].startswith(b"5.7.1 closed")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(server.address, "one@example.com")
    assert server.messages == []


def test_a_trap_does_not_wait():
    """Its delay is a second by default; this clock's seconds take no time."""
    clocks = []

    class Look(Plugin):
        def on_disconnect(self, _session):
            clocks.append(self.clock.slept)

    with (
        RunningServer([Look()], traps=["trap@example.com"]) as server,
        pytest.raises(smtplib.SMTPDataError),
    ):
        send(server.address, "trap@example.com")
    assert clocks == [[1.0]]


def test_a_server_that_cannot_start_says_why():
    made = replace(DEFAULT_CONFIG, traps=replace(DEFAULT_CONFIG.traps, lists=["/nowhere"]))
    before = threading.active_count()
    with pytest.raises(SetupError, match=r"^/nowhere: cannot be read: No such file"):
        RunningServer(config=made).__enter__()
    assert threading.active_count() == before


def test_a_server_that_speaks_lmtp():
    with RunningServer(protocol="lmtp") as server:
        with smtplib.LMTP(*server.address) as client:
            client.sendmail("a@client.example", ["one@example.com"], LETTER)
        assert b" with LMTP id " in server.messages[0].content


def test_a_client_that_stays_does_not_hold_up_the_end():
    with RunningServer() as server:
        client = smtplib.SMTP(*server.address)
        client.ehlo()
        client.mail("a@client.example")
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.noop()


def test_the_fixture(gatepost_server):
    send(gatepost_server.address)
    [message] = gatepost_server.messages
    assert message.recipients == ["one@example.com"]
    assert message.content.endswith(LETTER)


class TestOptions:
    @pytest.fixture
    def gatepost_options(self):
        return {"traps": ["trap@example.com"]}

    def test_the_fixture_is_made_as_asked_for(self, gatepost_server):
        with pytest.raises(smtplib.SMTPDataError):
            send(gatepost_server.address, "trap@example.com")
