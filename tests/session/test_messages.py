"""Messages: header hooks, content, notifications, delivery, failures, the Received field."""

import asyncio

import pytest
from tests.session.dialogue import OPEN, config, plugin

from gatepost.delivery.discard import DiscardTarget
from gatepost.delivery.target import DeliveryError
from gatepost.model.address import Address
from gatepost.model.decision import accept, deny
from gatepost.model.endpoint import Endpoint
from gatepost.model.facts import set_fact
from gatepost.model.message import Message
from gatepost.model.session import Recipient, Session, Transaction
from gatepost.session.content.collector import HeaderCollector
from gatepost.session.content.trace import received
from gatepost.session.dialect import SMTP
from gatepost.testing import Capture, MemoryServer, VirtualClock, play
from gatepost.wire.smtp.syntax.arguments import MAX_NAME

ENVELOPE = """
    C: MAIL FROM:<a@client.example>
    C: RCPT TO:<one@example.com>
    S: 250
    S: 250
"""
BODY = """
    C: DATA
    S: 354
    C: Subject: hello
    C: X-Folded: a
    C:  b
    C:
    C: text
    C: .
"""
TAKEN = ENVELOPE + BODY + "    S: 250\n"


def send(plugins=(), end="S: 250", **options):
    return play(OPEN + ENVELOPE + BODY + end, plugins, **options)


class Notifications:
    """Records the notifications of a plugin, in order."""

    def __init__(self, **methods):
        self.events = []
        notified = {
            f"on_{name}": self._recording(name) for name in ("reset", "delivered", "disconnect")
        }
        self.plugin = plugin(name="notifications", **(notified | methods))

    def _recording(self, name):
        return lambda fact: self.events.append((name, fact.id.rpartition("-")[2]))


def test_plugins_see_the_header_block_once():
    seen = []
    send([plugin(on_headers=lambda _tx, headers: seen.append(list(headers)))])
    assert seen == [[("Subject", "hello"), ("X-Folded", "a b")]]


@pytest.mark.parametrize(
    ("content", "raw"),
    [
        (b"A: 1\r\n\r\nbody", b"A: 1"),
        (b"A: 1\r\nB: 2\r\n", b"A: 1\r\nB: 2\r\n"),
        (b"\r\nbody\r\n\r\n", b""),
        (b"", b""),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_header_block_is_the_same_in_any_pieces(content, raw, size):
    collector = HeaderCollector(100)
    for at in range(0, len(content), size):
        if collector.add(content[at : at + size]):
            break
    assert collector.parse().raw == raw
    assert not collector.too_long


def test_endless_header_block_is_truncated():
    collector = HeaderCollector(10)
    assert not collector.add(b"x" * 10)
    assert collector.add(b"x" * 100_000)
    assert collector.too_long
    assert len(collector.parse().raw) <= 30


def test_too_long_header_block_is_refused_at_the_end():
    seen = []
    played = send(
        [plugin(on_headers=lambda *args: seen.append(args))],
        "S: 552 5.3.4 Header block exceeds the limit [*]",
        config=config(limits={"header_size": 10}),
    )
    assert (seen, played.messages) == ([], [])


def test_header_size_has_no_effect_without_a_header_hook():
    assert send(config=config(limits={"header_size": 10})).messages


def test_refusal_of_a_header_hook_is_sent_once_at_the_end():
    asked = []

    def refuse(_tx, headers):
        asked.append(headers.get("subject"))
        return deny("no spam", enhanced="5.7.0")

    played = send([plugin(on_headers=refuse, on_message=asked.append)], "S: 554 5.7.0 no spam [*]")
    assert (asked, played.messages) == (["hello"], [])


def test_header_hook_runs_over_bdat():
    seen = []
    played = play(
        OPEN
        + ENVELOPE
        + """
        C: BDAT 10
        C: A: 12345
        S: 250 2.0.0 Chunk received
        C: BDAT 2
        C:
        S: 250
        C: BDAT 6 LAST
        C: text
        S: 250 2.0.0 Ok, *
        """,
        [plugin(on_headers=lambda _tx, headers: seen.append(headers.get("a")))],
    )
    assert seen == ["12345"]
    assert played.messages[0].content.endswith(b"\r\nA: 12345\r\n\r\ntext\r\n")


@pytest.mark.parametrize("waits", [False, True])
def test_message_hook_reads_the_content_and_adds_fields(waits):
    def tag(tx):
        assert bytes(tx.message).endswith(b"\r\ntext\r\n")
        tx.message.add_header("X-First", "1")
        tx.message.add_header("X-Second", "a\r\n b")

    async def tag_later(tx):
        await asyncio.sleep(0)
        tag(tx)

    content = send([plugin(on_message=tag_later if waits else tag)]).messages[0].content
    trace, _, rest = content.partition(b"X-Second")
    assert trace.startswith(b"Received: ")
    assert rest == (
        b": a\r\n b\r\nX-First: 1\r\nSubject: hello\r\nX-Folded: a\r\n b\r\n\r\ntext\r\n"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "b\r\nBcc: c"),
        ("X-A", "b\r\n\r\nbody"),
        ("X-A", "b\nc"),
        ("X-A", "b\0c"),
        ("X-A", "b\r\n "),
        ("X A", "b"),
        ("X-A: b\r\nY", "c"),
    ],
)
def test_invalid_header_field_fails_the_plugin(name, value):
    played = send(
        [plugin(on_message=lambda tx: tx.message.add_header(name, value))], "S: 451 4.3.0*"
    )
    assert played.messages == []


def test_dot_stuffing_is_removed_and_other_bytes_are_unchanged():
    played = play(OPEN + ENVELOPE + "C: DATA\nS: 354\nC: ..\nC: .a\nC: b.\nC: ü\nC: .\nS: 250\n")
    assert played.messages[0].content.endswith("\r\n.\r\na\r\nb.\r\nü\r\n".encode())


def test_plugin_can_take_the_message():
    def failing(_tx):
        raise AssertionError("the next one is not asked")

    capture = Capture()
    send([capture, plugin(on_deliver=failing)])
    assert [one.recipients for one in capture.messages] == [["one@example.com"]]


def test_reply_contains_the_id_of_the_message():
    ids = []
    played = send([plugin(on_message=lambda tx: ids.append(tx.id))])
    assert played.replies[-1] == f"250 2.0.0 Ok, {ids[0]}"


def test_message_above_memory_per_message_is_delivered(tmp_path):
    played = send(config=config(limits={"memory_per_message": 5}))
    assert played.messages[0].content.endswith(b"\r\n\r\ntext\r\n")


@pytest.mark.parametrize(
    ("transcript", "events"),
    [
        ("", [("disconnect", "1")]),
        (TAKEN, [("delivered", "1.1"), ("disconnect", "1")]),
        (ENVELOPE, [("reset", "1.1"), ("disconnect", "1")]),
        (ENVELOPE + "C: RSET\nS: 250\nC: RSET\nS: 250\n", [("reset", "1.1"), ("disconnect", "1")]),
        (ENVELOPE + "C: HELO x\nS: 250\n", [("reset", "1.1"), ("disconnect", "1")]),
        (ENVELOPE + "C: QUIT\nS: 221\n", [("reset", "1.1"), ("disconnect", "1")]),
        (ENVELOPE + "C: DATA\nS: 354\n", [("reset", "1.1"), ("disconnect", "1")]),
        (
            TAKEN + ENVELOPE + "C: BDAT 0\nS: 551\n" + "C: RSET\nS: 250\n" + TAKEN,
            [("delivered", "1.1"), ("reset", "1.2"), ("delivered", "1.3"), ("disconnect", "1")],
        ),
    ],
)
def test_plugins_are_notified_of_each_end_once(transcript, events):
    notifications = Notifications()
    play(OPEN + transcript, [notifications.plugin])
    assert notifications.events == events


@pytest.mark.parametrize("hook", ["data", "headers", "message", "deliver"])
def test_refused_message_is_notified_as_a_reset(hook):
    notifications = Notifications(**{f"on_{hook}": lambda *_: deny("no")})
    ends = "C: DATA\nS: 554\n" if hook == "data" else BODY + "S: 554\n"
    played = play(OPEN + ENVELOPE + ends + "C: DATA\nS: 503\n", [notifications.plugin])
    assert notifications.events == [("reset", "1.1"), ("disconnect", "1")]
    assert played.messages == []


def test_delivered_notification_has_the_content():
    seen = []
    send([plugin(on_delivered=lambda tx: seen.append(bytes(tx.message)[-6:]))])
    assert seen == [b"text\r\n"]


def test_after_methods_get_the_outcome():
    seen = []

    def after(hook):
        return lambda *args: seen.append(
            (hook, args[-1].reply.code, args[-1].answer and args[-1].answer.by)
        )

    hooks = ("connect", "helo", "mail", "rcpt", "data", "headers", "message", "deliver", "quit")
    play(
        OPEN
        + ENVELOPE
        + "C: RCPT TO:<two@example.com>\nS: 550\n"
        + BODY
        + "S: 250\nC: QUIT\nS: 221\n",
        [
            plugin(
                name="refuser",
                on_rcpt=lambda _tx, rcpt: deny("no") if rcpt.address.local == "two" else None,
                **{f"after_{hook}": after(hook) for hook in hooks},
            )
        ],
    )
    assert seen == [
        ("connect", 220, None),
        ("helo", 250, None),
        ("mail", 250, None),
        ("rcpt", 250, None),
        ("rcpt", 550, "refuser"),
        ("data", 354, None),
        ("headers", 250, None),
        ("message", 250, None),
        ("deliver", 250, "capture"),
        ("quit", 221, None),
    ]


def test_accepted_and_refused_recipients_are_separate():
    seen = []

    def look(tx):
        seen.append(
            [[(str(r.address), r.accepted) for r in rs] for rs in (tx.recipients, tx.refused)]
        )

    play(
        OPEN + ENVELOPE + "C: RCPT TO:<x@elsewhere.example>\nS: 550\n" + BODY + "S: 250\n",
        [plugin(on_message=look)],
    )
    assert seen == [[[("one@example.com", True)], [("x@elsewhere.example", False)]]]


class Failing(Message):
    """A message whose disk is full after the first octets."""

    def write(self, data):
        raise OSError(28, "No space left on device")


class FailingAtItsEnd(Message):
    """A message whose last octets stay in memory until its end."""

    def complete(self):
        raise OSError(28, "No space left on device")


class Broken(Message):
    def write(self, data):
        raise RuntimeError("secret")


def test_full_disk_is_refused_and_nothing_is_delivered(monkeypatch):
    monkeypatch.setattr("gatepost.session.conversation.Message", Failing)
    seen = []
    played = send(
        [plugin(on_headers=lambda *args: seen.append(args), on_message=seen.append)],
        "S: 452 4.3.1 Insufficient system storage [*]\nC: NOOP\nS: 250\n",
    )
    assert (played.messages, seen) == ([], [])


def test_full_disk_at_the_end_is_refused_before_the_message_hook(monkeypatch):
    monkeypatch.setattr("gatepost.session.conversation.Message", FailingAtItsEnd)
    seen = []
    end = "S: 452 4.3.1 Insufficient system storage [*]\nC: NOOP\nS: 250\n"
    played = send([plugin(on_message=seen.append)], end)
    assert (played.messages, seen) == ([], [])


def test_internal_error_during_content_is_answered_at_its_end(monkeypatch):
    monkeypatch.setattr("gatepost.session.conversation.Message", Broken)
    played = send((), "S: 421 4.3.0 Internal error, try again later\n")
    assert played.messages == []


def test_internal_error_closes_the_session(monkeypatch):
    monkeypatch.setattr("gatepost.session.steps.envelope.Transaction", lambda *_: 1 / 0)
    play(OPEN + "C: MAIL FROM:<>\nC: NOOP\nS: 421 4.3.0 Internal error, try again later\n")


def test_internal_error_after_a_wait_closes_the_session(monkeypatch):
    monkeypatch.setattr("gatepost.session.steps.envelope.Transaction", lambda *_: 1 / 0)

    async def wait(*_):
        await asyncio.sleep(0)

    play(
        OPEN + "C: MAIL FROM:<>\nC: NOOP\nS: 421 4.3.0 Internal error, try again later\n",
        [plugin(observe_mail=wait)],
    )


class Target:
    """A target that returns, raises or calls the given result."""

    def __init__(self, result):
        self.result, self.taken = result, []

    def deliver(self, delivery):
        if isinstance(self.result, BaseException):
            raise self.result
        if callable(self.result):
            return self.result(delivery)
        self.taken.append(bytes(delivery.message))
        return None


def deliver_to(target, end, monkeypatch):
    monkeypatch.setattr(DiscardTarget, "deliver", lambda _self, delivery: target.deliver(delivery))
    monkeypatch.setattr(Capture, "on_deliver", lambda _self, _tx: None)
    notifications = Notifications()
    play(OPEN + ENVELOPE + BODY + end, [notifications.plugin])
    return [name for name, _ in notifications.events]


def test_target_gets_the_message(monkeypatch):
    target = Target(None)
    assert deliver_to(target, "S: 250 2.0.0 Ok, *", monkeypatch) == ["delivered", "disconnect"]
    assert target.taken[0].endswith(b"\r\ntext\r\n")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DeliveryError("Disk full", detail="/secret"), "451 4.3.0 Disk full [*]"),
        (DeliveryError("Not here", permanent=True), "554 5.3.0 Not here [*]"),
        (OSError("secret"), "421 4.3.0 Internal error, try again later"),
        (asyncio.CancelledError(), "421 4.3.0 Internal error, try again later"),
    ],
)
@pytest.mark.parametrize("waits", [False, True])
def test_failure_of_a_target_is_the_reply(error, line, waits, monkeypatch):
    async def later(_delivery):
        await asyncio.sleep(0)
        raise error

    target = Target(later if waits else error)
    assert deliver_to(target, f"S: {line}", monkeypatch) == ["reset", "disconnect"]


def test_target_can_wait(monkeypatch):
    async def later(delivery):
        await asyncio.sleep(0)
        assert bytes(delivery.message).endswith(b"text\r\n")

    assert deliver_to(Target(later), "S: 250", monkeypatch) == ["delivered", "disconnect"]


def disconnect_during(hook, **options):
    """Close the connection during a hook; return the notifications and the number of messages."""

    async def scenario():
        go_on, waiting = asyncio.Event(), asyncio.Event()

        async def wait(*_):
            waiting.set()
            await go_on.wait()

        notifications = Notifications(**{hook: wait})
        async with MemoryServer([notifications.plugin], **options) as server:
            client = server.connect()
            client.send(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<one@example.com>\r\nDATA\r\n")
            client.send(b"Subject: x\r\n\r\n.\r\n")
            await waiting.wait()
            closing = asyncio.ensure_future(client.close())
            await asyncio.sleep(0)
            go_on.set()
            await closing
        return [name for name, _ in notifications.events], len(server.messages)

    return asyncio.run(scenario())


@pytest.mark.parametrize("hook", ["on_data", "on_headers", "on_message"])
def test_disconnect_before_the_delivery_resets_the_message(hook):
    assert disconnect_during(hook) == (["reset", "disconnect"], 0)


@pytest.mark.parametrize("hook", ["observe_deliver", "on_deliver", "after_deliver"])
def test_disconnect_during_the_delivery_does_not_cancel_it(hook):
    assert disconnect_during(hook) == (["delivered", "disconnect"], 1)


def test_disconnect_during_the_delivered_notification_does_not_cancel_it():
    async def scenario():
        go_on, waiting, events = asyncio.Event(), asyncio.Event(), []

        async def wait(_tx):
            waiting.set()
            await go_on.wait()
            events.append("delivered")

        recording = plugin(on_delivered=wait, on_reset=lambda _tx: events.append("reset"))
        async with MemoryServer([recording]) as server:
            client = server.connect()
            client.send(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<one@example.com>\r\nDATA\r\n")
            client.send(b"Subject: x\r\n\r\n.\r\n")
            await waiting.wait()
            closing = asyncio.ensure_future(client.close())
            await asyncio.sleep(0)
            go_on.set()
            await closing
        return events

    assert asyncio.run(scenario()) == ["delivered"]


def test_disconnect_notification_can_wait():
    events = []

    async def wait(session):
        await asyncio.sleep(0)
        events.append(session.helo)

    play(OPEN, [plugin(on_disconnect=wait)])
    assert events == ["client.example"]


def transaction(
    helo="client.example",
    recipients=("one@example.com",),
    *,
    extended=True,
    params=None,
    host="192.0.2.1",
):
    session = Session("abc-1", Endpoint(host, 1), Endpoint("192.0.2.25", 25), 0.0, helo, extended)
    tx = Transaction("abc-1.1", session, Address.parse("a@b"), params or {}, 1704067200.7)
    set_fact(tx, "recipients", [Recipient(Address.parse(one), {}) for one in recipients])
    return tx


@pytest.fixture
def utc(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("utc")
def test_received_field_has_all_clauses():
    assert received(transaction(), "mx.example.net", SMTP.with_names) == (
        b"Received: from client.example ([192.0.2.1])\r\n"
        b"\tby mx.example.net (Gatepost) with ESMTP id abc-1.1\r\n"
        b"\tfor <one@example.com>;\r\n"
        b"\tMon, 01 Jan 2024 00:00:00 +0000\r\n"
    )


@pytest.mark.usefixtures("utc")
def test_received_field_does_not_name_several_recipients():
    assert received(transaction(recipients=("one@x", "two@x")), "mx", SMTP.with_names) == (
        b"Received: from client.example ([192.0.2.1])\r\n"
        b"\tby mx (Gatepost) with ESMTP id abc-1.1;\r\n"
        b"\tMon, 01 Jan 2024 00:00:00 +0000\r\n"
    )


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"extended": False}, b" with SMTP id "),
        ({"params": {"SMTPUTF8": ""}}, b" with UTF8SMTP id "),
        ({"host": "2001:db8::1"}, b"from client.example ([IPv6:2001:db8::1])\r\n"),
        ({"helo": "[192.0.2.9]"}, b"from [192.0.2.9] ("),
        ({"helo": 'a(b)c\\d\r\nX: y\0\t"<é>'}, b"from a?b?c?d??X:?y?????? (["),
        ({"recipients": ['"a b"@example.com']}, b'\tfor <"a b"@example.com>;\r\n'),
        ({"recipients": ['"a\\">b;(c\\\\"@x']}, b'\tfor <"a\\">b;(c\\\\"@x>;\r\n'),
        ({"recipients": ["a..b@my_host.example."]}, b'\tfor <"a..b"@my_host.example>;\r\n'),
        ({"recipients": ["a@[IPv6:2001:db8::1]"]}, b"\tfor <a@[IPv6:2001:db8::1]>;\r\n"),
        ({"recipients": ["ü@bücher.example"]}, "\tfor <ü@bücher.example>;\r\n".encode()),
    ],
)
def test_client_data_cannot_break_the_received_field(change, line):
    field = received(transaction(**change), "mx", SMTP.with_names)
    assert line in field
    assert field.count(b"\r\n") == 4
    assert all(part[:1] in (b"R", b"\t", b"") for part in field.split(b"\r\n"))
    assert b"\0" not in field


@pytest.mark.parametrize(
    "address",
    [
        Address("a", '[x:">;(]'),
        Address("a\r\nX: y", "b"),
        Address("a", "b\r\nX: y"),
        Address("", "b\n"),
    ],
)
def test_an_unsafe_recipient_is_left_out_of_the_received_field(address):
    tx = transaction()
    tx.recipients[0] = Recipient(address, {})
    field = received(tx, "mx", SMTP.with_names)
    assert b"for <" not in field
    assert field.count(b"\r\n") == 3


def test_postmaster_is_named_in_the_received_field():
    tx = transaction()
    tx.recipients[0] = Recipient(Address("postmaster", ""), {})
    assert b"\tfor <postmaster>;\r\n" in received(tx, "mx", SMTP.with_names)


def test_the_lines_of_the_longest_received_field_are_within_the_limit():
    longest = {
        "helo": "a" * MAX_NAME,
        "recipients": [f'"{chr(92) * 254}"@{".".join(["b" * 63] * 4)}'],
        "host": "2001:db8:1111:2222:3333:4444:5555:6666",
    }
    field = received(transaction(**longest), ".".join(["c" * 63] * 4), SMTP.with_names)
    assert max(len(line) for line in field.split(b"\r\n")) < 998


def test_time_stamps_come_from_the_clock():
    clock = VirtualClock("2024-01-01T12:00:00+00:00")
    seen = []

    async def scenario():
        note = plugin(on_mail=lambda tx, _s: seen.append((tx.received, tx.session.started)))
        async with MemoryServer([note], clock=clock) as server:
            client = server.connect()
            await clock.sleep(60)
            client.send(b"EHLO x\r\nMAIL FROM:<>\r\n")
            await client.close()

    asyncio.run(scenario())
    assert seen == [(1704110460.0, 1704110400.0)]


def test_content_can_be_opened_as_a_file():
    seen = []

    def read(tx):
        with tx.message.open() as file:
            seen.append(file.read().endswith(b"text\r\n"))
        return accept()

    send([plugin(on_message=read)])
    assert seen == [True]


@pytest.mark.parametrize("start", [" ; dkim=pass header.d=bank.example", "\t; dkim=pass", "text"])
def test_content_never_continues_a_field_of_this_server(start):
    def add(tx):
        tx.message.add_header("Authentication-Results", "mx.example.com; spf=fail")

    body = ["C: DATA", "S: 354", f"C: {start}", "C: Subject: x", "C:", "C: t", "C: .", "S: 250"]
    result = play(OPEN + ENVELOPE + "\n".join(body), [plugin(on_message=add)])
    (message,) = result.messages
    header, _, rest = message.content.partition(b"\r\n\r\n")
    assert rest == f"{start}\r\nSubject: x\r\n\r\nt\r\n".encode()
    assert b"Authentication-Results: mx.example.com; spf=fail" in header.split(b"\r\n")
