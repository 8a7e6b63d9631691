"""The contract of local targets as tests: subclass `Contract` in the tests of a target.

A subclass makes the target and returns the messages it has; the tests are the same for all.
"""

import asyncio
import threading
import tracemalloc
from pathlib import Path

import pytest
from tests.delivery.programs import deliver
from tests.delivery.samples import NULL_PATH, delivery, message, recipient

from gatepost.delivery.target import DeliveryError
from gatepost.model.address import Address
from gatepost.model.facts import set_fact
from gatepost.model.message import Message

PEOPLE = [recipient(f"{name}@example.com") for name in "abc"]
CONTENT = b"Subject: x\r\n\r\n.dots\r\n\r\nHello\r\n"
LARGE = 50_000_000
FLAT = 4_000_000

HOSTILE_LOCALS = [
    "../../x",
    "..",
    "/etc/passwd",
    "-oQ/tmp/x",
    "$(touch x)",
    "`touch x`",
    "a b;touch x",
    "a\\0",
    "'\"",
    "x" * 256,
    "\u202egnp.exe",
    ".Sent",
    "",
]
IMPURE = ["a\0b", "a\nb", "a\r\nRcpt: x", "\ud800", "\x1b[2J"]


class Contract:
    """The tests. `one_copy` is for targets that keep one copy for all recipients."""

    one_copy = False

    def target(self, base):
        """Return the target, which keeps messages below the folder `base`."""
        raise NotImplementedError

    def kept(self, base):
        """Return the content of each message, with CRLF line ends."""
        raise NotImplementedError

    def copies(self, recipients):
        return 1 if self.one_copy else recipients

    @pytest.fixture
    def base(self, tmp_path):
        (tmp_path / "inside").mkdir()
        return tmp_path / "inside"

    def test_the_message_is_delivered_to_all_recipients(self, base):
        assert not deliver(self.target(base), delivery(*PEOPLE, of=message(CONTENT)))
        assert self.kept(base) == [CONTENT] * self.copies(3)

    def test_the_null_reverse_path_is_accepted(self, base):
        what = delivery(*PEOPLE, of=message(CONTENT), sender=NULL_PATH)
        assert not deliver(self.target(base), what)
        assert self.kept(base) == [CONTENT] * self.copies(3)

    def test_added_header_fields_come_first(self, base):
        made = message(CONTENT)
        made.add_header("Received", "by us")
        assert not deliver(self.target(base), delivery(PEOPLE[0], of=made))
        assert self.kept(base) == [b"Received: by us\r\n" + CONTENT]

    def test_an_edited_message_is_delivered_as_edited(self, base):
        made = message(b"X-Spam: yes\r\n" + CONTENT, 10)
        made.complete()
        made.remove_header("X-Spam")
        made.add_header("X-Last", "1", first=False)
        made.replace_body(b"new\r\n" * 100)
        expected = CONTENT.partition(b"\r\n\r\n")[0] + b"\r\nX-Last: 1\r\n\r\n" + b"new\r\n" * 100
        with made:
            assert not deliver(self.target(base), delivery(PEOPLE[0], of=made))
        assert self.kept(base) == [expected]

    @pytest.mark.parametrize(
        "content", [b"", b"\r\n", b"x", b"From x\r\n.\r\n", b"\xff\r\n" * 9999]
    )
    def test_any_content_is_kept(self, base, content):
        with message(content, 5000) as made:
            assert not deliver(self.target(base), delivery(PEOPLE[0], of=made))
        assert self.kept(base) == [content]

    def test_concurrent_deliveries_are_all_kept(self, base):
        target = self.target(base)
        contents = [b"%d\r\n" % number for number in range(20)]

        async def all_at_once():
            async with asyncio.TaskGroup() as group:
                for content in contents:
                    made = message(content)
                    group.create_task(target.deliver(delivery(PEOPLE[0], of=made)))
            await target.stop()

        asyncio.run(all_at_once())
        assert sorted(self.kept(base)) == sorted(contents)

    def test_a_message_closed_too_early_is_not_delivered(self, base):
        made = message(CONTENT)
        made.close()
        with pytest.raises(DeliveryError) as caught:
            self.all_failed(deliver(self.target(base), delivery(*PEOPLE, of=made)))
        assert not caught.value.permanent
        assert self.kept(base) == []

    def test_a_read_error_leaves_nothing(self, base):
        class Broken(Message):
            def __iter__(self):
                yield CONTENT
                raise OSError(5, "Input/output error")

        with pytest.raises((DeliveryError, OSError)):
            self.all_failed(deliver(self.target(base), delivery(*PEOPLE, of=Broken(100))))
        assert self.kept(base) == []

    def all_failed(self, failures):
        """Raise the first returned error, if any."""
        for error in (failures or {}).values():
            raise error

    def test_a_cancelled_delivery_leaves_nothing(self, base):
        reached, proceed = threading.Event(), threading.Event()

        class Held(Message):
            def __iter__(self):
                yield CONTENT
                reached.set()
                proceed.wait()

        held = Held(100)
        held._size = len(CONTENT)

        async def run():
            target = self.target(base)
            task = asyncio.create_task(target.deliver(delivery(*PEOPLE, of=held)))
            await asyncio.to_thread(reached.wait)
            task.cancel()
            for _ in range(20):  # it reaches the target after some turns of the event loop
                await asyncio.sleep(0)
            assert not task.done()
            proceed.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            await target.stop()

        asyncio.run(run())
        assert self.kept(base) == []

    def test_a_large_message_needs_little_memory(self, base):
        with message(b"", 1000, base) as made:
            for _ in range(LARGE // 100_000):
                made.write(b"x" * 99_998 + b"\r\n")
            tracemalloc.start()
            try:
                assert not deliver(self.target(base), delivery(*PEOPLE[:2], of=made))
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert peak < FLAT
        assert [*map(len, self.kept(base))] == [LARGE] * self.copies(2)

    @pytest.mark.parametrize("local", HOSTILE_LOCALS)
    def test_hostile_names_stay_inside(self, base, local):
        """Delivered or refused: nothing outside the folder changes."""
        self.attack(base, recipient(str(Address(local, "example.com"))))

    @pytest.mark.parametrize("local", IMPURE)
    def test_names_with_control_characters_stay_inside(self, base, local):
        """The grammar of addresses excludes these, but targets do not rely on it."""
        person = recipient("a@example.com")
        set_fact(person, "address", Address(local, "example.com"))
        set_fact(person, "user", local)
        self.attack(base, person)

    def attack(self, base, person):
        outside, here = set(base.parent.iterdir()), set(Path.cwd().iterdir())
        for what in (delivery(person), delivery(PEOPLE[0], sender=person.address)):
            try:
                deliver(self.target(base), what)
            except DeliveryError:
                assert self.kept(base) == [] or what.recipients == [PEOPLE[0]]
        assert set(base.parent.iterdir()) == outside
        assert set(Path.cwd().iterdir()) == here
