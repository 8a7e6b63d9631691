"""The pump: bounded turns and bounded read-ahead."""

import asyncio

import pytest

from gatepost.model.reply import Reply
from gatepost.net.inline import need_task
from gatepost.net.turns import TURN, Turns
from gatepost.server.pump import COMMAND_COST, MAX_UNREAD, Owner, Pump
from gatepost.session.handler import Handler
from gatepost.testing import VirtualClock
from gatepost.wire.events import Content
from gatepost.wire.protocol import NEED_DATA, Wire

OK = Reply(250, "Ok")


class Lines(Wire):
    """A wire whose commands are lines of 1,024 octets."""

    SIZE = 1024

    def __init__(self):
        self.left = 0

    @property
    def unread(self):
        return self.left

    @property
    def closed(self):
        return False

    def receive_data(self, data):
        self.left += len(data)

    def next_event(self):
        if self.left < self.SIZE:
            return NEED_DATA
        self.left -= self.SIZE
        return "line"

    def send(self, _reply):
        return b"."


class Engine(Handler):
    """Answers at once, or after `waits` iterations of the event loop."""

    counted = frozenset()
    error_delay = 0.0

    def __init__(self, waits=0):
        self.waits = waits

    def handle(self, _event):
        return self.later() if self.waits else OK

    async def later(self):
        await need_task()
        for _ in range(self.waits):
            await asyncio.sleep(0)
        return OK

    def count(self, _event, reply):
        return reply

    def fail(self, _event):
        raise AssertionError


class Client(Owner):
    def __init__(self):
        self.sent, self.ends = 0, []

    def send(self, data):
        self.sent += len(data)

    def wire_paused(self):
        self.ends.append("paused")

    def drained(self):
        self.ends.append("drained")

    def finish(self):
        self.ends.append("finished")


class Transport:
    """A socket that delivers up to 256 KiB per read, as uvloop does."""

    def __init__(self, loop, octets):
        self.loop, self.left, self.reading, self.most = loop, octets, True, 0

    def start(self, pump):
        self.pump = pump
        self.loop.call_soon(self.deliver)

    def deliver(self):
        if self.reading and self.left:
            piece = min(self.left, 256 * 1024)
            self.left -= piece
            self.pump.receive(bytes(piece))
        self.most = max(self.most, self.pump._wire.unread)
        if self.left:
            self.loop.call_soon(self.deliver)

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True


def made(octets, waits=0, turns=None):
    loop = asyncio.get_running_loop()
    owner, turns = Client(), turns or Turns(loop)
    pump = Pump(Lines(), Engine(waits), owner, turns, VirtualClock())
    pump.transport = Transport(loop, octets)
    pump.transport.start(pump)
    return pump, owner, turns


@pytest.mark.parametrize("waits", [0, 1, 3])
def test_reading_stops_at_the_limit_even_if_commands_wait(waits):
    """A command that waits must not cause more reading while many others are unanswered."""

    async def scenario():
        pump, owner, _ = made(2**21, waits)
        while owner.sent < 2**21 // Lines.SIZE:  # noqa: ASYNC110 - this tests the event loop
            await asyncio.sleep(0)
        assert pump.transport.most <= MAX_UNREAD + 256 * 1024

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_turn_is_bounded():
    async def scenario():
        pump, owner, turns = made(0)
        pump.receive(bytes(2**18))
        assert owner.sent == TURN // COMMAND_COST
        assert pump.busy
        assert not pump.transport.reading
        before = owner.sent
        await asyncio.sleep(0)
        assert owner.sent - before == TURN // COMMAND_COST
        assert turns.count == 3

    asyncio.run(scenario())


class Discarding(Lines):
    """A wire that discards all content, as after a fault in it: its events are empty pieces."""

    def next_event(self):
        if self.left < TURN:
            return NEED_DATA
        self.left -= TURN
        return Content(b"")


def test_discarded_content_ends_a_turn():
    async def scenario():
        pump, owner, turns = made(0)
        pump._wire = Discarding()
        pump._handler.handle = lambda _event: None
        pump.receive(bytes(TURN - 1))
        assert not pump.busy
        pump.receive(bytes(2 * TURN))
        assert pump.busy
        assert not pump.transport.reading
        for _ in range(2):
            await asyncio.sleep(0)
        assert not pump.busy
        assert pump.transport.reading
        assert (owner.sent, turns.count) == (0, 6)

    asyncio.run(scenario())


def test_much_input_waits_while_others_wait_for_their_turn():
    async def scenario():
        first, first_owner, turns = made(0)
        first.receive(bytes(2**18))
        assert turns.waiting
        second, owner, _ = made(0, turns=turns)
        second.receive(bytes(TURN))
        assert second.busy
        assert owner.sent == 0
        third, quick, _ = made(0, turns=turns)
        third.receive(bytes(Lines.SIZE))
        assert quick.sent == 1
        await asyncio.sleep(0)
        assert owner.sent == TURN // Lines.SIZE
        assert first_owner.sent

    asyncio.run(scenario())


def test_end_of_file_waits_until_all_commands_are_answered():
    async def scenario():
        pump, owner, _ = made(0)
        pump.receive(bytes(2**18))
        assert pump.eof()
        while owner.ends != ["drained"]:  # noqa: ASYNC110 - this tests the event loop
            await asyncio.sleep(0)
        assert owner.sent == 2**18 // Lines.SIZE

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_lost_connection_is_cleaned_up_once_and_sends_no_reply():
    async def scenario():
        pump, owner, _ = made(0)
        pump.receive(bytes(2**18))
        before = owner.sent
        pump.lose(cancel=True)
        for _ in range(10):
            await asyncio.sleep(0)
        assert owner.ends == ["finished"]
        assert owner.sent == before

    asyncio.run(scenario())
