"""Connections of a mail server that asks for decisions, with a protocol of lines."""

import asyncio
import functools
from ipaddress import ip_network
from typing import ClassVar

import pytest
from msgspec.structs import replace
from tests.server.loopback import config, run

from gatepost.model.reply import Reply
from gatepost.net.inline import need_task
from gatepost.server import protocols
from gatepost.server.client_identity import new_session
from gatepost.server.mta_connection import PROGRESS, MtaConnection
from gatepost.session import dialect
from gatepost.session.conversation import Conversation
from gatepost.session.mta_handler import MtaHandler
from gatepost.session.recorder import Recorder
from gatepost.wire.protocol import NEED_DATA, PAUSED, MtaWire

OK = Reply(250, "Ok")
ASKS = dialect.SMTP._replace(name="milter", wire=None)


class Lines(MtaWire):
    """Each line is a question; the answer to "quit" is the last."""

    def __init__(self):
        self.data, self.asked, self.ended = b"", None, False

    @property
    def unread(self):
        return len(self.data)

    @property
    def closed(self):
        return self.ended

    def receive_data(self, data):
        self.data += data

    def next_event(self):
        if self.asked is not None or self.ended:
            return PAUSED
        line, end, rest = self.data.partition(b"\n")
        if not end:
            return NEED_DATA
        self.data, self.asked = rest, line.decode()
        return self.asked

    def send(self, reply):
        self.ended, self.asked = self.asked == "quit", None
        return b"" if self.ended else f"{reply.code}\n".encode()

    def progress(self):
        return b"wait\n"


class Asked(MtaHandler):
    """Answers at once, but "think" waits for the event `done`."""

    made: ClassVar = []

    def __init__(self, conversation):
        self.conversation, self.done, self.questions = conversation, asyncio.Event(), []
        self.swept = self.ends = 0
        self.made.append(self)

    @property
    def talk(self):
        return self.conversation

    @property
    def open(self):
        return self.questions[-1:] == ["open"]

    def handle(self, event):
        self.questions.append(event)
        return self.think() if event == "think" else OK

    async def think(self):
        await need_task()
        await self.done.wait()
        return OK

    def count(self, _event, reply):
        return reply

    def fail(self, _event):
        raise AssertionError

    def sweep(self, _now):
        self.swept += 1

    def lost(self):
        self.ends += 1
        return self.disconnected()

    async def disconnected(self):
        self.ends += 1


def speak(connections, listener, identity, _traffic):
    session = new_session("ref", identity, 0.0, "milter", listener.name)
    return Lines(), Asked(Conversation(connections.setup, session, ASKS))


def asked_lines(connections, _listen, settings):
    return functools.partial(MtaConnection, connections, settings, speak)


@pytest.fixture
def asking(monkeypatch, tmp_path):
    """Return a function that runs a scenario with a server that answers lines."""
    monkeypatch.setitem(protocols.PROTOCOLS, "milter", asked_lines)
    monkeypatch.setitem(dialect.DIALECTS, "milter", ASKS)
    monkeypatch.setattr(Asked, "made", [])

    def start(scenario, *, accept_from=None, **more):
        made = config(tmp_path, **more)
        changed = {"protocol": "milter", "name": "mta"}
        if accept_from is not None:
            changed["accept_from"] = [ip_network(one) for one in accept_from]
        made = replace(made, listen=[replace(made.listen[0], **changed)])
        return run(scenario, made)

    return start


def test_questions_are_answered_in_order_until_the_last(asking):
    async def scenario(server):
        client = await server.connect()
        client.send(b"a\nb\nquit\nc\n")
        assert await client.rest() == "250\n250\n"
        await client.close()
        await server.until(lambda: not server.connections.members)
        [handler] = Asked.made
        assert handler.questions == ["a", "b", "quit"]
        assert handler.ends == 2

    asking(scenario)


def test_the_connection_counts_for_its_listener_but_not_for_an_address(asking):
    async def scenario(server):
        clients = [await server.connect() for _ in range(3)]
        for client in clients:
            client.send(b"a\n")
            assert await client.reader.readline() == b"250\n"
        assert server.connections.by_listener() == {"mta": 3}
        for client in clients:
            await client.close()

    asking(scenario, limits={"connections_per_ip": 1})


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({"accept_from": ["192.0.2.0/24"]}, "accept_from"),
        ({"limits": {"connections": 1}}, "connections"),
    ],
)
def test_a_mail_server_that_may_not_connect_is_closed_and_recorded(
    asking, monkeypatch, settings, limit
):
    refused = []

    def connection_refused(_self, _ref, peer, limit, _reply):
        refused.append((peer.host, limit))

    monkeypatch.setattr(Recorder, "connection_refused", connection_refused)

    async def scenario(server):
        server.connections.setup.recorder = Recorder()
        kept = [await server.connect()] if limit == "connections" else []
        if kept:
            await server.until(lambda: server.connections.members)
        client = await server.connect()
        client.send(b"a\n")
        assert await client.reader.read() == b""
        client.send(b"a\n")
        for one in (*kept, client):
            await one.close()
        await server.until(lambda: not server.connections.members)

    asking(scenario, **settings)
    assert refused == [("127.0.0.1", limit)]
    assert [one.ends for one in Asked.made] == ([2, 0] if limit == "connections" else [0])


def test_while_a_decision_takes_long_the_mail_server_is_made_to_wait(asking):
    async def scenario(server):
        client = await server.connect()
        client.send(b"think\n")
        await server.until(lambda: Asked.made and Asked.made[0].questions)
        server.connections.sweep_later(PROGRESS - 1)
        server.connections.sweep_later(PROGRESS)
        server.connections.sweep_later(PROGRESS + 1)
        assert await client.reader.readline() == b"wait\n"
        Asked.made[0].done.set()
        assert await client.reader.readline() == b"250\n"
        assert Asked.made[0].swept >= 3
        await client.close()

    asking(scenario)


def test_a_silent_connection_ends_after_the_session_timeout(asking):
    async def scenario(server):
        client = await server.connect()
        client.send(b"a\n")
        assert await client.reader.readline() == b"250\n"
        server.connections.sweep_later(3599)
        client.send(b"a\n")
        assert await client.reader.readline() == b"250\n"
        server.connections.sweep_later(3602)
        assert await client.reader.read() == b""
        await client.close()

    asking(scenario, limits={"session_timeout": 3600.0})


def test_a_stopping_server_closes_the_connection_after_the_open_transaction(asking):
    async def scenario(server):
        busy, idle = await server.connect(), await server.connect()
        for client, question in ((busy, b"open\n"), (idle, b"a\n")):
            client.send(question)
            assert await client.reader.readline() == b"250\n"
        draining = asyncio.ensure_future(server.connections.drain(10))
        assert await idle.reader.read() == b""
        busy.send(b"end\n")
        assert await busy.reader.read() == b"250\n"
        for client in (busy, idle):
            await client.close()
        await draining

    asking(scenario)


def test_the_end_of_the_input_cancels_what_is_being_decided(asking):
    async def scenario(server):
        client = await server.connect()
        client.send(b"think\n")
        await server.until(lambda: Asked.made and Asked.made[0].questions)
        client.writer.write_eof()
        assert await client.reader.read() == b""
        await client.close()
        await server.until(lambda: not server.connections.members)
        assert Asked.made[0].ends == 2

    asking(scenario)


def test_a_mail_server_that_does_not_read_its_replies_is_waited_for(asking):
    async def scenario(server):
        client = await server.connect()
        client.send(b"a\n")
        assert await client.reader.readline() == b"250\n"
        [connection] = server.connections.members
        connection.pause_writing()
        client.send(b"b\n")
        await server.until(lambda: connection.pump._wire.unread)
        connection.resume_writing()
        assert await client.reader.readline() == b"250\n"
        await client.close()

    asking(scenario)
