"""The daily list of new messages in quarantine."""

import asyncio
import fcntl
from datetime import datetime
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.queue.spool.samples import facts, new_message, put, recipient, store_at

from gatepost.config.quarantine import QuarantineConfig
from gatepost.delivery.target import DeliveryError
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.server import digest
from gatepost.server.digest import DAY, Digest, next_moment

BEGIN = "2024-01-01T00:00:00"
CONFIG = QuarantineConfig(digest="admin@example.com")


class Outbox:
    def __init__(self, *errors):
        self.errors, self.mails = list(errors), []
        self.asked = asyncio.Event()

    async def submit(self, plugin, sender, recipients, message):
        self.asked.set()
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error
        self.mails.append((plugin, sender, recipients, message))
        return "ref"

    @property
    def texts(self):
        return [message.get_content() for *_, message in self.mails]


class Bench:
    """Workers with the same data folder."""

    def __init__(self, data_dir, outbox=None):
        self.clock, self.outbox = VirtualClock(BEGIN), outbox or Outbox()
        self.data_dir, self.folder = data_dir, data_dir / "spool"
        self.folder.mkdir()

    def digest(self):
        return Digest(
            CONFIG,
            self.data_dir,
            "mx.example.com",
            clock=self.clock,
            outbox=self.outbox,
        )

    def hold(self, *addresses, subject="Hello", reason="virus", at=None, **more):
        held = self.clock.time() if at is None else at
        known = {"due": None, "reason": reason, "holder": "clamav", "held": held}
        recipients = [recipient(one, "", **known) for one in addresses]
        content = f"Subject: {subject}\r\n\r\ntext\r\n".encode(errors="surrogateescape")
        with store_at(self.folder / "1.db") as store:
            put(store, new_message(*recipients, content=content, **more))

    def send(self, after=0.0):
        async def main():
            await self.clock.sleep(after)
            await self.digest().send(self.clock.time())

        asyncio.run(main())


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_the_list_has_counts_and_each_new_message_with_its_commands(bench):
    bench.hold("a@one.example", "b@one.example", of=facts("s-1.7", "eve@client.example"))
    bench.hold("c@one.example", reason="spam")
    bench.send()
    [(plugin, sender, to, message)] = bench.outbox.mails
    assert (plugin, sender, to) == ("gatepost", "", ["admin@example.com"])
    assert message["Subject"] == "Quarantine: 2 new messages on mx.example.com"
    assert message["Auto-Submitted"] == "auto-generated"
    [text] = bench.outbox.texts
    assert "      1  virus (clamav)\n      1  spam (clamav)\n" in text
    for line in (
        "From:     <eve@client.example>",
        "To:       <a@one.example>, <b@one.example>",
        "Subject:  Hello",
        "Explain:  gatepost explain s-1.7",
        "Release:  gatepost queue release 1-1",
    ):
        assert f"{line}\n" in text


def test_only_new_messages_are_listed_and_without_any_nothing_is_sent(bench):
    bench.hold("old@one.example", at=VirtualClock(BEGIN).time() - 2 * DAY)
    bench.send()
    assert bench.outbox.mails == []
    bench.hold("new@one.example")
    bench.send(1)
    bench.send(DAY)
    [text] = bench.outbox.texts
    assert "old@" not in text


def test_other_held_mail_is_not_listed(bench):
    with store_at(bench.folder / "1.db") as store:
        put(store, new_message(recipient(due=None, reason="No")))
    bench.send()
    assert bench.outbox.mails == []


def test_a_list_that_cannot_be_sent_is_sent_the_next_time(bench):
    bench.outbox.errors = [DeliveryError("full")]
    bench.hold("a@one.example")
    with pytest.raises(DeliveryError):
        bench.send()
    bench.send(2 * DAY - 1)
    assert len(bench.outbox.mails) == 0  # without an earlier list, the last day counts
    bench.hold("b@one.example")
    bench.send()
    bench.outbox.errors = [DeliveryError("full")]
    bench.hold("c@one.example")
    with pytest.raises(DeliveryError):
        bench.send(1)
    bench.send(5 * DAY)
    assert "c@one.example" in bench.outbox.texts[-1]


def test_the_newest_are_listed_and_all_counted(bench, monkeypatch):
    monkeypatch.setattr(digest, "NEWEST", 2)
    for number in range(4):
        bench.hold(f"u{number}@one.example", at=bench.clock.time() - number)
    bench.send()
    [text] = bench.outbox.texts
    assert "      4  virus" in text
    assert ("u0@" in text, "u1@" in text, "u2@" in text) == (True, True, False)
    assert "Not listed: 2." in text


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("=?utf-8?q?gr=C3=BC=C3=9Fe?=", "gr\u00fc\u00dfe"),
        ("=?utf-8?q?a=0ARelease:_b?=", "a Release: b"),
        ("=?utf-8?q?a=1B[2J=E2=80=AE?=", "a\\x1b[2J\\u202e"),
        ("=?none?q?x?=", "=?none?q?x?="),
        ("=?utf-8?b?x?=", None),
        ("x" * 200, "x" * 97 + "..."),
    ],
)
def test_a_subject_is_one_printable_line(bench, subject, shown):
    bench.hold("a@one.example", subject=subject)
    bench.send()
    [line] = [one for one in bench.outbox.texts[0].splitlines() if one.startswith("Subject: ")]
    assert shown is None or line == f"Subject:  {shown}"


@given(st.text(max_size=300))
def test_any_subject_can_be_sent(text):
    line = digest._line(digest._decoded(text))
    assert line.isprintable()
    message = EmailMessage()
    message.set_content(line)
    assert bytes(message)


def test_a_message_without_content_has_no_subject(bench):
    bench.hold("a@one.example")
    with store_at(bench.folder / "1.db") as store:
        store.connection.execute("DELETE FROM content")
    bench.send()
    assert "Subject:  \n" in bench.outbox.texts[0]


def test_one_worker_sends_the_list_each_day(bench):
    async def main():
        workers = [asyncio.create_task(bench.digest().run()) for _ in range(3)]
        for _ in range(3):
            bench.hold("a@one.example")
            await asyncio.sleep(0)  # the workers begin to wait
            await bench.clock.sleep(DAY)
            await bench.outbox.asked.wait()
            bench.outbox.asked.clear()
        for one in workers:
            one.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    asyncio.run(main())
    assert len(bench.outbox.mails) == 3


@pytest.mark.parametrize("text", ["", "x", "99999999999", "0000000000000000000000000000"])
def test_without_the_time_of_a_list_the_last_day_counts(bench, text):
    (bench.data_dir / digest.FILE).write_text(text)
    bench.hold("old@one.example", at=bench.clock.time() - 2 * DAY)
    bench.hold("new@one.example")
    bench.send(1)
    [message] = bench.outbox.texts
    assert "new@" in message
    assert "old@" not in message


def test_a_list_that_another_worker_sends_is_not_sent_twice(bench):
    bench.hold("a@one.example")
    path = bench.data_dir / digest.FILE
    with path.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        bench.send()
    assert bench.outbox.mails == []
    bench.send()
    assert len(bench.outbox.mails) == 1


@pytest.mark.parametrize("error", [ValueError("no route"), ZeroDivisionError("odd")])
def test_a_failure_is_logged_and_the_next_list_is_sent(bench, error):
    bench.outbox.errors = [error]

    async def main():
        worker = asyncio.create_task(bench.digest().run())
        for _ in range(2):
            bench.hold("a@one.example")
            await asyncio.sleep(0)  # the workers begin to wait
            await bench.clock.sleep(DAY)
            await bench.outbox.asked.wait()
            bench.outbox.asked.clear()
        worker.cancel()

    with capture_logs() as lines:
        asyncio.run(asyncio.wait_for(main(), 60))
    assert [one["event"] for one in lines] == ["digest not sent"]


@pytest.mark.parametrize(("at", "minutes"), [("07:00", 60), ("06:00", 1440), ("05:59", 1439)])
def test_the_next_time_of_day(at, minutes):
    now = datetime(2024, 1, 1, 6).timestamp()  # noqa: DTZ001 - local time
    assert next_moment(at, now) - now == minutes * 60
