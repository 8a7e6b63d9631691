"""The feed of records: one reader for all viewers, each of which gets each record once."""

import asyncio
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.web.made import accepted
from tests.web.streamed import at_once

from gatepost.ledger.position import Position
from gatepost.ledger.records import encode
from gatepost.ledger.store import LedgerWriter
from gatepost.web.live import records as feeds
from gatepost.web.live import sse
from gatepost.web.live.cursor import CursorError, Cursors
from gatepost.web.live.records import RecordsFeed, RecordsViewer
from gatepost.web.live.viewer import EVENTS, OCTETS, Viewer

DAY = 86400.0
KEY = b"key"


class Ledger:
    """A ledger with small segments, to which records with numbers are written."""

    def __init__(self, folder):
        self.folder = folder / "ledger"
        self.now = 1e9
        self._writer = LedgerWriter(self.folder, DAY, 1 << 30, lambda: self.now, segment=10)
        self.count = 0

    def write(self, count, pieces=1):
        """Write records in some commits."""
        for _ in range(pieces):
            more = [accepted(self.count + number, time=self.now) for number in range(count)]
            self.count += count
            self._writer.add([encode(one) for one in more])
            self._writer.commit()
            self._writer.maintain()

    def expire(self):
        """Remove what is there."""
        self.now += 3 * DAY
        self._writer.maintain()

    def close(self):
        self._writer.close()


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path)
    yield made
    made.close()


def numbers(records):
    """Return the data of an event: the numbers of records."""
    found = [int(one.ref[1:].partition("-")[0]) for one in records]
    return json.dumps(found) if found else ""


def viewer_of(group="all", encode=numbers, position=None, **options):
    return RecordsViewer("numbers", group, encode, position, **options)


def feed_of(ledger, run=at_once):
    return RecordsFeed(ledger.folder, Cursors(KEY), run)


def parsed(event):
    """Return the name, the data and the id of an event."""
    fields = dict(line.split(": ", 1) for line in event.decode().splitlines() if line)
    return fields["event"], json.loads(fields["data"]), fields["id"]


async def drained(feed, viewer):
    """Return the numbers of the events that a viewer gets now, and the last id."""
    found, last = [], ""
    while event := await feed.next(viewer):
        _, data, last = parsed(event)
        found += data
    return found, last


def test_the_ledger_is_read_once_and_an_event_is_made_once_for_all_viewers(ledger):
    reads, made = [], []

    async def run(work):
        reads.append(work)
        return work()

    def encode(records):
        made.append(len(records))
        return numbers(records)

    async def main():
        feed = feed_of(ledger, run)
        feed.viewers |= {viewer_of(encode=encode) for _ in range(50)}
        await feed.look()
        reads.clear()
        ledger.write(7)
        await feed.look()
        assert (len(reads), made) == (1, [7])
        for viewer in feed.viewers:
            assert (await drained(feed, viewer))[0] == list(range(7))
        assert len(reads) == 1

    asyncio.run(main())


def test_a_slow_viewer_has_a_bounded_queue_and_loses_nothing(ledger):
    async def main():
        feed, viewer = feed_of(ledger), viewer_of()
        feed.viewers.add(viewer)
        await feed.look()
        ledger.write(1, pieces=EVENTS + 50)
        while await feed.look() != feed.interval:
            pass
        waiting = len([None for _ in range(2 * EVENTS) if viewer.take()])
        assert waiting == EVENTS
        assert (await drained(feed, viewer))[0] == list(range(EVENTS, EVENTS + 50))

    asyncio.run(main())


ACTION = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 30), st.integers(1, 3)),
    st.tuples(st.just("look")),
    st.tuples(st.just("next"), st.integers(0, 2)),
    st.tuples(st.just("again"), st.integers(0, 2)),
    st.tuples(st.just("restart")),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(ACTION, max_size=20))
def test_each_viewer_gets_each_record_once_whatever_is_interrupted(actions):
    async def main(ledger):
        feed = feed_of(ledger)
        start = Position(0, 0)
        viewers = [viewer_of(name, position=start) for name in ("all", "all", "other")]
        seen, last = [[], [], []], [str(feed._cursors.make(start))] * 3
        feed.viewers |= set(viewers)

        def again(number):
            """Connect again with the id of the last event that was received."""
            feed.viewers.discard(viewers[number])
            position = Cursors(KEY).read(last[number])
            viewers[number] = viewer_of(viewers[number].group[1], position=position)
            feed.viewers.add(viewers[number])

        async def take(number):
            event = await feed.next(viewers[number])
            if event:
                _, data, last[number] = parsed(event)
                seen[number] += data
            return event

        for name, *values in [*actions, ("write", 1, 1), ("look",), ("look",)]:
            if name == "write":
                ledger.write(*values)
            elif name == "look":
                await feed.look()
            elif name == "next":
                await take(*values)
            elif name == "again":
                again(*values)
            else:
                feed = feed_of(ledger)
                for number in range(3):
                    again(number)
        while await feed.look() != feed.interval:
            pass
        for number in range(3):
            while await take(number) or feed._is_behind(viewers[number]):
                pass
            assert seen[number] == list(range(ledger.count))

    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder))
        try:
            asyncio.run(main(ledger))
        finally:
            ledger.close()


@pytest.mark.parametrize(("sees_counts", "missing"), [(True, 25), (False, None)])
def test_a_viewer_too_far_behind_gets_the_gap_and_continues_now(
    ledger, monkeypatch, sees_counts, missing
):
    monkeypatch.setattr(feeds, "CATCH_UP", 24)

    async def main():
        feed = feed_of(ledger)
        ledger.write(25)
        viewer = viewer_of(position=Position(1, 0), sees_counts=sees_counts)
        feed.viewers.add(viewer)
        await feed.look()
        name, data, last = parsed(await feed.next(viewer))
        assert (name, data) == ("gap", {"missing": missing})
        ledger.write(3)
        await feed.look()
        assert (await drained(feed, viewer))[0] == [25, 26, 27]
        resumed = viewer_of(position=Cursors(KEY).read(last))
        feed.viewers.add(resumed)
        assert (await drained(feed, resumed))[0] == [25, 26, 27]

    asyncio.run(main())


def test_records_that_retention_has_removed_are_a_gap(ledger):
    async def main():
        feed = feed_of(ledger)
        ledger.write(5, pieces=5)
        ledger.expire()
        ledger.write(2)
        viewer = viewer_of(position=Position(1, 3), sees_counts=True)
        feed.viewers.add(viewer)
        await feed.look()
        assert parsed(await feed.next(viewer))[:2] == ("gap", {"missing": None})
        assert (await drained(feed, viewer))[0] == []

    asyncio.run(main())


def test_the_poller_continues_when_its_segment_is_removed(ledger):
    async def main():
        feed, viewer = feed_of(ledger), viewer_of()
        feed.viewers.add(viewer)
        ledger.write(5)
        await feed.look()
        await drained(feed, viewer)
        ledger.write(6, pieces=5)
        ledger.expire()
        ledger.write(4)
        await feed.look()
        assert (await drained(feed, viewer))[0][-4:] == [35, 36, 37, 38]

    asyncio.run(main())


def test_a_ledger_that_begins_later_is_followed_and_the_outage_is_logged_once(tmp_path):
    async def main():
        feed, viewer = RecordsFeed(tmp_path / "ledger", Cursors(KEY), at_once), viewer_of()
        feed.interval = 0.0
        looks = asyncio.Event()

        async def run(work):
            run.count += 1
            if run.count == 3:
                looks.set()
            return work()

        run.count = 0
        feed._run = run
        with feed.joined(viewer):
            await looks.wait()
            ledger = Ledger(tmp_path)
            while viewer.position is None:
                viewer.take()
                await viewer.wait(60)
            ledger.write(2)
            while not (event := await feed.next(viewer)):
                await viewer.wait(60)
            assert parsed(event)[1] == [0, 1]
            ledger.close()

    with capture_logs() as logs:
        asyncio.run(main())
    assert [(one["event"], one["data"]) for one in logs] == [("live data not readable", "records")]
    assert "no ledger" in logs[0]["problem"]


def test_a_position_of_another_ledger_is_now(ledger):
    async def main():
        feed, viewer = feed_of(ledger), viewer_of(position=Position(99, 5))
        ledger.write(3)
        feed.viewers.add(viewer)
        await feed.look()
        assert await drained(feed, viewer) == ([], "")
        ledger.write(2)
        await feed.look()
        assert (await drained(feed, viewer))[0] == [3, 4]

    asyncio.run(main())


def test_a_viewer_without_rows_gets_a_new_id_with_the_heartbeat(ledger):
    async def main():
        feed, viewer = feed_of(ledger), viewer_of(encode=lambda _records: "")
        assert feed.beat(viewer) == sse.COMMENT
        feed.viewers.add(viewer)
        await feed.look()
        ledger.write(8)
        await feed.look()
        assert await feed.next(viewer) == b""
        beat = feed.beat(viewer).decode()
        assert beat.startswith("id: ")
        assert Cursors(KEY).read(beat[4:].strip()) == Position(1, 8)

    asyncio.run(main())


# The queue of a viewer


def test_a_queue_is_bounded_by_events_and_by_octets():
    async def main():
        many, large = Viewer("", str), Viewer("", str)
        assert [many.put(b"x") for _ in range(EVENTS + 1)] == [True] * EVENTS + [False]
        assert large.put(b"x" * (2 * OCTETS))  # an event of any size, if no other waits
        assert not large.put(b"x")
        assert len(large.take()) == 2 * OCTETS
        assert large.put(b"y" * OCTETS)
        large.replace(b"z")
        assert (large.take(), large.take()) == (b"z", b"")

    asyncio.run(main())


# The format


@given(st.builds(Position, st.integers(0, 10**8 - 1), st.integers(0, 10**18 - 1)))
def test_an_identity_is_read_as_it_was_made_and_is_another_each_time(position):
    cursors = Cursors(KEY)
    one, other = cursors.make(position), cursors.make(position)
    assert cursors.read(one) == cursors.read(other) == position
    assert one != other
    with pytest.raises(CursorError):
        Cursors(b"another key").read(one)


@given(st.text())
def test_any_other_text_is_an_error(text):
    with pytest.raises(CursorError, match="expected the id of an event of this server"):
        Cursors(KEY).read(text)


@given(st.text(st.characters(codec="utf-8")))
def test_no_text_becomes_a_field_of_an_event(text):
    lines = sse.event("rows", text, "1").decode().split("\n")
    assert lines[:2] == ["id: 1", "event: rows"]
    assert lines[-2:] == ["", ""]
    data = lines[2:-2]
    assert all(line.startswith("data: ") for line in data)
    assert "\r" not in "".join(data)
    assert "".join(line[6:] for line in data) == text.replace("\r", "").replace("\n", "")
