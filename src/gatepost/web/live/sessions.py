"""The feed of open sessions: the processes that serve are asked once for all viewers.

A viewer gets the newest state only; one that is too slow misses earlier ones.

Limits: INTERVAL seconds between two requests, HISTORY counts of sessions. A process that does not
answer is waited for as `gatepost.process.live` does, and named.
"""

from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from gatepost.process.live import Live, NotRunningError, live_sessions
from gatepost.server.control_socket import MOST, RequestError, SessionsRequest
from gatepost.web.live.feed import Feed, Run
from gatepost.web.live.sse import event
from gatepost.web.live.viewer import Viewer

INTERVAL = 2.0
HISTORY = 60
NAME = "sessions"


class Snapshot(NamedTuple):
    """The sessions at one moment, None without a server or with a `problem`.

    `history` are the numbers of open sessions, the last one now.
    """

    live: Live | None
    problem: str = ""
    history: Sequence[int] = ()


class SessionsViewer(Viewer[Snapshot]):
    """A viewer of the sessions that `request` selects, at most as many as its limit."""

    def __init__(
        self, request: SessionsRequest, group: Hashable, encode: Callable[[Snapshot], str]
    ) -> None:
        super().__init__((request, group), encode)
        self.limit = MOST if request.client or request.plugin else request.limit


class SessionsFeed(Feed[SessionsViewer]):
    """The sessions of the server in a data folder."""

    about = "sessions"
    interval = INTERVAL

    def __init__(self, data_dir: Path, run: Run) -> None:
        super().__init__(run)
        self._data_dir = data_dir
        self._history: deque[int] = deque(maxlen=HISTORY)

    def reset(self) -> None:
        """Drop the counts: there is a gap until the next one."""
        self._history.clear()

    async def look(self) -> float:
        """Ask for the sessions, and give each viewer its event."""
        request = SessionsRequest(limit=max(viewer.limit for viewer in self.viewers))
        events = await self._run(partial(self._events, request, self._groups()))
        for viewer in self.viewers:
            if viewer.group in events:
                viewer.replace(events[viewer.group])
        return self.interval

    def _events(
        self, request: SessionsRequest, groups: Mapping[Hashable, SessionsViewer]
    ) -> dict[Hashable, bytes]:
        snapshot = self._snapshot(request)
        return {group: event(NAME, one.encode(snapshot)) for group, one in groups.items()}

    def _snapshot(self, request: SessionsRequest) -> Snapshot:
        try:
            live = live_sessions(self._data_dir, request)
        except NotRunningError:
            return Snapshot(None)
        except (RequestError, OSError) as error:
            return Snapshot(None, str(error))
        self._history.append(live.matched)
        return Snapshot(live, history=tuple(self._history))
