"""The response to a request for a stream: events until its end.

A stream ends when its viewer may not see it any more, when the process stops, and after STREAM
seconds; a browser then connects again. The viewer is checked every TICK seconds and before each
event.

Limits: those of `places`; `gatepost.web.server` closes the connection of a client that does not
read. Every HEARTBEAT seconds something is sent, by which a client that has gone is found.
"""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gatepost.ledger.position import Position
from gatepost.web.limits import STREAM
from gatepost.web.live.cursor import CursorError, Cursors
from gatepost.web.live.feed import Feed
from gatepost.web.live.places import FullError, Places
from gatepost.web.live.sse import HEADERS, MEDIA_TYPE, event, retry
from gatepost.web.live.viewer import Viewer

TICK = 1.0
HEARTBEAT = 15.0
RETRY = 2.0
# The event after which a viewer must not connect again without another login.
ENDED = event("end", "")

V = TypeVar("V", bound=Viewer[Any])


class Stream(Generic[V]):
    """The events of a feed for one viewer.

    `may_see` returns whether the viewer may see the next one, `is_closing` whether the process
    stops. The stream is open for at most `seconds`.
    """

    def __init__(
        self,
        feed: Feed[V],
        viewer: V,
        may_see: Callable[[], bool],
        is_closing: Callable[[], bool],
        seconds: float = STREAM,
    ) -> None:
        self._feed = feed
        self._viewer = viewer
        self._may_see = may_see
        self._is_closing = is_closing
        self._seconds = seconds

    async def events(self) -> AsyncGenerator[bytes, None]:
        """Yield events until the end of the stream."""
        end = time.monotonic() + self._seconds
        yield retry(RETRY)
        with self._feed.joined(self._viewer):
            due = time.monotonic() + HEARTBEAT
            while not self._is_closing() and (now := time.monotonic()) < end:
                found = await self._feed.next(self._viewer)
                if not self._may_see():
                    yield ENDED
                    return
                if not found and now >= due:
                    found = self._feed.beat(self._viewer)
                if found:
                    due = now + HEARTBEAT
                    yield found
                else:
                    await self._viewer.wait(min(TICK, end - now))


def start_of(request: Request, cursors: Cursors) -> Position | None:
    """Return the position after which a stream starts, None for now; raises `CursorError`.

    A browser that connects again sends the id of the last event, and the same path as before.
    """
    last = request.headers.get("last-event-id", "")
    name, text = ("Last-Event-ID", last) if last else ("after", request.query_params.get("after"))
    if not text:
        return None
    try:
        return cursors.read(text)
    except CursorError as error:
        raise CursorError(f"{name}: {error}") from None


class EventStream(Response):
    """The response of a stream; `refusal` makes the one without a free place."""

    def __init__(
        self,
        stream: Stream[Any],
        places: Places,
        owner: str,
        refusal: Callable[[str], Response],
    ) -> None:
        super().__init__(media_type=MEDIA_TYPE)
        self._stream = stream
        self._places = places
        self._owner = owner
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            with self._places.taken(self._owner):
                await self._send(scope, receive, send)
        except FullError as error:
            await self._refusal(str(error))(scope, receive, send)

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await super().__call__(scope, receive, send)
            return
        async with aclosing(self._stream.events()) as events:
            response = StreamingResponse(events, headers=HEADERS, media_type=MEDIA_TYPE)
            await response(scope, receive, send)
