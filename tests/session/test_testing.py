"""The tools for authors of plugins: dialogues, the server in memory, the clock."""

import asyncio
import inspect

import pytest
from tests.session.dialogue import plugin

from gatepost import Plugin, testing
from gatepost.config.schema import RecipientsConfig, RouteConfig
from gatepost.model.decision import accept, deny
from gatepost.testing import (
    DEFAULT_CONFIG,
    Capture,
    DialogueError,
    MemoryServer,
    PlayedDecision,
    VirtualClock,
    play,
    play_async,
)


@pytest.mark.parametrize(
    ("transcript", "message"),
    [
        ("S: 554", "line 1: expected '554', found '220 localhost ESMTP Gatepost'"),
        ("S: 220 other*", "line 1: expected '220 other*', found '220 localhost ESMTP Gatepost'"),
        ("S: 22", "line 1: expected '22', found '220 localhost ESMTP Gatepost'"),
        ("S: 220\nS: 250", "line 2: expected '250', found no reply"),
        (
            "S: 220\nC: QUIT\nS: 221\nC: NOOP\nS: 250",
            "line 5: expected '250', found a closed connection after line 4, C: NOOP",
        ),
        (
            "S: 220\nT: soon",
            'line 2: expected a duration such as "90s", "5m" or "24h", found \'soon\'',
        ),
        ("S: 220\nB: a\\q", "line 2: '\\\\q' is not an escape of octets"),
        ("S: 220\nB: a\\", "line 2: '\\\\' is not an escape of octets"),
        ("S: 220\nB: NO\nS: 250", "line 3: expected '250', found no reply after line 2, B: NO"),
        ("S: 220\nhello", "line 2: expected 'C: ' or 'S: ', found 'hello'"),
    ],
)
def test_a_difference_names_the_line_and_the_expected_and_found_reply(transcript, message):
    with pytest.raises(DialogueError) as caught:
        play(transcript)
    assert str(caught.value) == message


def test_a_difference_has_no_frames_of_the_server():
    with pytest.raises(DialogueError) as caught:
        play("S: 221")
    assert [frame.name for frame in caught.traceback] == [
        "test_a_difference_has_no_frames_of_the_server",
        "play",
    ]


def test_a_dialogue_can_be_played_in_an_event_loop():
    async def scenario():
        with pytest.raises(RuntimeError, match="use await play_async"):
            play("S: 220")
        return await play_async("S: 220", peer=("192.0.2.9", 1), now="2024-02-01")

    assert asyncio.run(scenario()).replies == ["220 localhost ESMTP Gatepost"]


def test_both_have_the_same_arguments():
    assert inspect.signature(play) == inspect.signature(play_async)


def test_octets_are_sent_without_a_line_end():
    result = play(
        r"""
        S: 220
        C: EHLO x
        S: 250
        C: MAIL FROM:<a@b>
        C: RCPT TO:<one@example.com>
        C: BDAT 16 LAST
        B: S: x\r\n\r\n\\
        B: \x01\xFF\t\x20e\r\n
        C: NOOP
        S: 250
        S: 250
        S: 250
        S: 250
        """,
    )
    assert result.messages[0].content.endswith(b"S: x\r\n\r\n\\\x01\xff\t e\r\n")


def test_the_clock_is_moved_on():
    class Times(Plugin):
        def __init__(self):
            super().__init__()
            self.times = []

        def start(self):
            self.every("1m", self.tick)

        def tick(self):
            self.times.append("tick")

        def on_noop(self, session, text):
            self.times.append(self.clock.time() % 86_400)

    times = Times()
    play("S: 220\nC: NOOP\nS: 250\nT: 1m\nT: 90s\nC: NOOP\nS: 250", [times])
    assert times.times == [0, "tick", "tick", 150]


def test_the_result_has_the_decisions():
    result = play(
        """
        S: 220
        C: EHLO x
        S: 250
        C: MAIL FROM:<a@b>
        C: RCPT TO:<one@example.com>
        C: RCPT TO:<one@elsewhere.example>
        C: DATA
        S: 250
        S: 250
        S: 550
        S: 354
        C: .
        S: 554
        """,
        [
            plugin(name="first", on_rcpt=lambda *_: accept(reason="known")),
            plugin(name="second", on_message=lambda *_: deny(reason="why")),
        ],
    )
    assert result.decisions == [
        PlayedDecision("rcpt", "first", "accept", "known"),
        PlayedDecision("rcpt", "gatepost", "deny", "relay-denied"),
        PlayedDecision("message", "second", "deny", "why"),
    ]


def test_a_missing_reply_is_a_difference():
    with pytest.raises(DialogueError):
        play("S: 220\nC: EHLO x\nS: 250\nC: MAIL FROM:<>\nS: 500")


def test_blank_lines_comments_and_missing_blanks_are_fine():
    assert play("\n# nothing\nS:220\n\nC:QUIT\nS: 221").replies[1].startswith("221")
    assert play("").replies == []


def test_the_result_has_replies_messages_and_waits():
    result = play(
        """
        S: 220
        C: HELO x
        S: 250
        C: MAIL FROM:<a@b>
        C: RCPT TO:<one@example.com>
        C: RCPT TO:<two@example.com>
        C: DATA
        S: 250
        S: 250
        S: 250
        S: 354
        C: text
        C: .
        S: 250
        """
    )
    [message] = result.messages
    assert (message.reverse_path, message.recipients) == (
        "a@b",
        ["one@example.com", "two@example.com"],
    )
    assert message.content.startswith(b"Received: from x ([192.0.2.1])\r\n\tby localhost ")
    assert result.replies[1] == "250 localhost"
    assert result.slept == []


def test_the_peer_can_be_set():
    seen = []
    play("S: 220", [plugin(on_connect=lambda s: seen.append(str(s.peer)))], peer=("2001:db8::1", 5))
    assert seen == ["[2001:db8::1]:5"]


@pytest.mark.parametrize("now", ["2024-03-01T12:00:00", "2024-03-01T13:00:00+01:00"])
def test_the_clock_can_be_set(now):
    assert VirtualClock(now).time() == 1709294400.0


def test_each_wait_moves_the_clock_on():
    clock = VirtualClock()
    asyncio.run(clock.sleep(2.5))
    assert clock.time() == VirtualClock().time() + 2.5
    assert clock.slept == [2.5]


def test_the_result_has_the_delay_of_a_refusal():
    result = play("S: 554", [plugin(on_connect=lambda _s: deny(delay=3))])
    assert result.slept == [3]


def test_an_open_client_does_not_delay_the_end():
    async def scenario():
        events = []
        observer = plugin(on_disconnect=lambda s: events.append(s.id.rpartition("-")[2]))
        async with MemoryServer([observer]) as server:
            first, second = server.connect(), server.connect()
            assert not first.closed
        assert first.closed
        assert second.closed
        return sorted(events)

    assert asyncio.run(scenario()) == ["1", "2"]


def test_too_many_clients_are_refused():
    async def scenario():
        async with MemoryServer() as server:
            server.setup.limits = type(server.setup.limits)(connections=1)
            first, second = server.connect(), server.connect()
            assert (await first.reply())[:3] == "220"
            assert (await second.reply())[:3] == "421"
            assert second.closed
            await second.close()
            await first.close()

    asyncio.run(scenario())


def test_the_server_waits_for_a_client_that_does_not_read():
    async def scenario():
        async with MemoryServer() as server:
            client = server.connect()
            await client.reply()
            client._connection.pause_writing()
            reading = []
            transport = client._transport
            transport.pause_reading = lambda: reading.append("pause")
            transport.resume_reading = lambda: reading.append("resume")
            client.send(b"NOOP\r\n")
            assert transport.written == b""
            client.send((b"NOOP " + b"x" * 993 + b"\r\n") * 80)
            assert reading == ["pause"]
            client._connection.resume_writing()
            replies = [await client.reply() for _ in range(81)]
            assert set(replies) == {"250 2.0.0 Ok"}
            while await client._connection.pump.until_idle():
                pass
            assert reading[-1] == "resume"
            await client.close()

    asyncio.run(scenario())


def test_a_transport_can_be_paused_and_aborted():
    async def scenario():
        async with MemoryServer() as server:
            client = server.connect()
            client._transport.pause_reading()
            client._transport.resume_reading()
            client._connection.abort()
            assert client.closed
            await client.close()

    asyncio.run(scenario())


def test_the_default_configuration_accepts_mail_for_example_com():
    assert DEFAULT_CONFIG.recipients == RecipientsConfig(domains=["example.com"])
    assert DEFAULT_CONFIG.route == [RouteConfig(to="discard:")]


def test_a_new_capture_is_empty():
    assert Capture().name == "capture"
    assert Capture().messages == []


def test_every_public_name_is_described():
    for name in testing.__all__:
        assert getattr(testing, name).__doc__
