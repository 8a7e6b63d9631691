"""The feed of new records of the ledger: one reader follows it for all viewers.

Theory of operation
-------------------
The ledger has its records in pieces, and a position after each. The poller reads new pieces, makes
one event of each for every group of viewers, and gives it to the viewers that have all before it.
A viewer that has not reads by itself: one that has just connected with the id of an event, or one
whose queue was full. It continues from its own position until it has reached that of the poller.
So every viewer gets each record once, whatever was restarted meanwhile.

Limits: a look every INTERVAL seconds, ROUND records at a time. A viewer that is CATCH_UP records
behind, or whose next records retention has removed, gets the event `gap`, and continues now. One
viewer at a time reads by itself.
"""

import asyncio
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from gatepost.ledger.position import Position
from gatepost.ledger.records import Record
from gatepost.ledger.selection import Selection
from gatepost.ledger.store import LedgerError, LedgerReader
from gatepost.ledger.store.reader import Follower, Piece
from gatepost.web.live.cursor import Cursors
from gatepost.web.live.feed import Feed, Run
from gatepost.web.live.sse import COMMENT, event, progress
from gatepost.web.live.viewer import Viewer

INTERVAL = 1.0
# Seconds between two looks while there is more than a round.
_SOON = 0.05
ROUND = 500
CATCH_UP = 50_000
GAP = "gap"

# The position after a piece, and its event for each group, empty if there is nothing for it.
Events = Sequence[tuple[Position, Mapping[Hashable, bytes]]]


class Gap(msgspec.Struct, frozen=True):
    """The data of the event `gap`: how many records are left out, null if it is not counted."""

    missing: int | None


class RecordsViewer(Viewer[Sequence[Record]]):
    """A viewer of records as events `name`.

    `position` is that after the last record for which there is an event, None for now. One that a
    client has sent is not checked before the viewer has read from it (`is_new`). Only a viewer that
    `sees_counts` gets the number of records that are left out.
    """

    def __init__(
        self,
        name: str,
        group: Hashable,
        encode: Callable[[Sequence[Record]], str],
        position: Position | None = None,
        *,
        sees_counts: bool = False,
    ) -> None:
        super().__init__((name, group), encode)
        self.name = name
        self.position = position
        self.is_new = position is not None
        self.sees_counts = sees_counts

    def event(self, records: Sequence[Record], identity: str) -> bytes:
        """Return the event of some records, empty if there is nothing for this viewer."""
        data = self.encode(records)
        return event(self.name, data, identity) if data else b""

    def receive(self, found: Events) -> None:
        """Take the events of the pieces after the position, as long as there is room for them."""
        for position, events in found:
            if self.position is not None and position <= self.position:
                continue
            one = events.get(self.group)
            if one is None or (one and not self.put(one)):
                return
            self.position = position


class RecordsFeed(Feed[RecordsViewer]):
    """The new records of the ledger in a folder."""

    about = "records"
    interval = INTERVAL

    def __init__(self, folder: Path, cursors: Cursors, run: Run) -> None:
        super().__init__(run)
        self._folder = folder
        self._cursors = cursors
        self._follower: Follower | None = None
        self._position: Position | None = None
        self._reading = asyncio.Lock()

    @contextmanager
    def joined(self, viewer: RecordsViewer) -> Iterator[None]:
        """Send events to a viewer, from its position or from now on."""
        viewer.position = viewer.position or self._position
        with super().joined(viewer):
            yield

    def reset(self) -> None:
        """Start from the end of the ledger the next time."""
        self._follower = self._position = None

    async def look(self) -> float:
        """Read what is new, and give it to the viewers that have all before it."""
        if self._follower is None or self._position is None:
            self._follower = await self._run(self._now)
            self._position = self._follower.position
        start, follower = self._position, self._follower
        pieces, events = await self._run(partial(self._read, follower, self._groups()))
        self._position = follower.position
        for viewer in self.viewers:
            viewer.position = viewer.position or start
            if not viewer.is_new and viewer.position >= start:
                viewer.receive(events)
            viewer.wake()
        return _SOON if sum(len(one.records) for one in pieces) >= ROUND else self.interval

    async def next(self, viewer: RecordsViewer) -> bytes:
        """Return the next event of a viewer; one that is behind reads by itself."""
        found = viewer.take()
        if not found and self._is_behind(viewer):
            is_read = await self._catch_up(viewer)
            found = viewer.take()
            if is_read and self._is_behind(viewer):
                viewer.wake()
        return found

    def beat(self, viewer: RecordsViewer) -> bytes:
        """Return the identity from which a viewer without a new event can continue."""
        if viewer.position is None or viewer.is_new:
            return COMMENT
        return progress(self._cursors.make(viewer.position))

    def _is_behind(self, viewer: RecordsViewer) -> bool:
        if viewer.position is None or self._position is None:
            return False
        return viewer.is_new or viewer.position < self._position

    async def _catch_up(self, viewer: RecordsViewer) -> bool:
        """Read for a viewer; return whether that was possible."""
        async with self._reading:
            try:
                position, events = await self._run(partial(self._read_for, viewer))
            except (LedgerError, OSError) as error:
                self.report(error)
                return False
        if viewer.is_new:
            viewer.is_new, viewer.position = False, position
        viewer.receive(events)
        return True

    def _now(self) -> Follower:
        return LedgerReader(self._folder).follow(Selection())

    def _read(
        self, follower: Follower, groups: Mapping[Hashable, RecordsViewer]
    ) -> tuple[Sequence[Piece], Events]:
        """Return the next pieces and their events."""
        pieces = follower.pieces(ROUND)
        return pieces, [(one.position, self._events(one, groups)) for one in pieces]

    def _events(
        self, piece: Piece, groups: Mapping[Hashable, RecordsViewer]
    ) -> Mapping[Hashable, bytes]:
        identity = self._cursors.make(piece.position)
        return {group: one.event(piece.records, identity) for group, one in groups.items()}

    def _read_for(self, viewer: RecordsViewer) -> tuple[Position, Events]:
        """Return the position from which a viewer reads, and the events after it."""
        follower = LedgerReader(self._folder).follow(Selection(), viewer.position)
        start, missed = follower.position, follower.missed()
        if missed is not None and missed <= CATCH_UP:
            _, events = self._read(follower, {viewer.group: viewer})
            return start, events
        return start, [self._gap(viewer, missed)]

    def _gap(
        self, viewer: RecordsViewer, missed: int | None
    ) -> tuple[Position, Mapping[Hashable, bytes]]:
        """Return the event of a viewer that continues now."""
        now = self._now().position
        data = msgspec.json.encode(Gap(missed if viewer.sees_counts else None)).decode()
        return now, {viewer.group: event(GAP, data, self._cursors.make(now))}
