"""The live streams of pages: open sessions for Now, and new rows for Find.

Security: a stream has what the page of the same user has: the sessions are for users without a
limit to some domains, and rows are made from what is visible of a record. It ends when the login
ends, and when the user is changed or removed.
"""

from collections.abc import Callable, Sequence
from functools import partial

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gatepost.ledger.records import Record
from gatepost.web.access.entries import EntriesError
from gatepost.web.asking import Problem, ask
from gatepost.web.filters import FilterError, Filters, parse_filters
from gatepost.web.live.cursor import CursorError
from gatepost.web.live.places import RETRY_AFTER
from gatepost.web.live.records import RecordsViewer
from gatepost.web.live.sessions import SessionsViewer, Snapshot
from gatepost.web.live.stream import EventStream, Stream, start_of
from gatepost.web.pages import fragment
from gatepost.web.site import Site, Visitor
from gatepost.web.source import Source
from gatepost.web.table import Table
from gatepost.web.views import find, now

LIVE = "/live/"
SESSIONS_PATH, EVENTS_PATH = f"{LIVE}sessions", f"{LIVE}events"
ROWS = "rows"
_DENIED = "Sessions are not for users with a limit to some domains."


async def sessions_stream(site: Site, request: Request, visitor: Visitor) -> Response:
    """Return the stream of open sessions."""
    if not visitor.user.scope.is_everything:
        return _problem(403, _DENIED)
    try:
        filters = parse_filters(request.query_params, 0.0)
    except FilterError as error:
        return _problem(400, str(error))
    chosen = Filters(ip=filters.ip, plugin=filters.plugin)
    role = visitor.user.role
    encode = partial(_sessions, filters=chosen, role=role)
    viewer = SessionsViewer(now.request_of(chosen), role, encode)
    may_see = partial(_is_same, site, request, visitor)
    stream = Stream(site.live.sessions, viewer, may_see, site.live.is_closing)
    return EventStream(stream, site.live.places, visitor.identity, _full)


async def rows_stream(site: Site, request: Request, visitor: Visitor) -> Response:
    """Return the stream of new rows of Find."""
    source = Source(site.config, visitor.user.scope)
    try:
        filters = parse_filters(request.query_params, source.now)
        position = start_of(request, site.live.cursors)
    except (FilterError, CursorError) as error:
        return _problem(400, str(error))
    timeless = find.timeless(filters)
    found = await ask(site, partial(find.following, source, timeless))
    if isinstance(found, Problem):
        return _problem(found.status, found.text)
    viewer = RecordsViewer(
        ROWS,
        (visitor.user.scope, timeless),
        partial(_rows, table_of=found, filters=timeless),
        position,
        sees_counts=visitor.user.scope.is_everything,
    )
    may_see = partial(_is_same, site, request, visitor)
    stream = Stream(site.live.records, viewer, may_see, site.live.is_closing)
    return EventStream(stream, site.live.places, visitor.identity, _full)


def _is_same(site: Site, request: Request, visitor: Visitor) -> bool:
    """Return whether the user of a request is logged in, with the same role and domains."""
    try:
        current = site.visitor(request)
    except EntriesError:
        return False
    return current is not None and current.user == visitor.user


def _sessions(snapshot: Snapshot, filters: Filters, role: str) -> str:
    """Return the content of the page Now."""
    live = snapshot.live and now.selected(snapshot.live, now.request_of(filters))
    shown = now.shown(live, snapshot.history, snapshot.problem)
    return fragment(
        "sessions.html",
        tables={table.name: table for table in shown.tables},
        filters=filters,
        zone=filters.tz,
        visitor={"user": {"role": role}},
        **shown.facts,
    )


def _rows(
    records: Sequence[Record],
    table_of: Callable[[Sequence[Record]], Table | None],
    filters: Filters,
) -> str:
    """Return the table of new rows, "" without any."""
    table = table_of(records)
    if table is None:
        return ""
    visitor = {"user": {"role": "viewer"}}
    return fragment("rows.html", table=table, filters=filters, zone=filters.tz, visitor=visitor)


def _problem(status: int, text: str) -> Response:
    return PlainTextResponse(f"{text}\n", status)


def _full(text: str) -> Response:
    return PlainTextResponse(f"{text}\n", 503, {"Retry-After": str(RETRY_AFTER)})
