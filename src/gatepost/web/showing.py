"""The pages of views: HTML, or one of their tables as CSV or JSON.

An error of a query becomes a page with its reason, not an empty table.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gatepost.web.asking import Problem, ask
from gatepost.web.changes import ACTIONS
from gatepost.web.filters import LABELS, PERIODS, RESULTS, FilterError, Filters, parse_filters
from gatepost.web.pages import page
from gatepost.web.registry import VIEWS
from gatepost.web.site import Site, Visitor
from gatepost.web.source import Source
from gatepost.web.table import as_csv, as_json
from gatepost.web.views import message
from gatepost.web.views.view import Shown, View

FORMATS = {"csv": (as_csv, "text/csv; charset=utf-8"), "json": (as_json, "application/json")}
_MESSAGE = View(
    "message", "/message", "Message", "What happened, and why?", lambda _s, _f: Shown([])
)


async def show(site: Site, view: View, request: Request, visitor: Visitor) -> Response:
    """Return the page of a view, or an export with `format` in the query."""
    if not view.is_scoped and not visitor.user.scope.is_everything:
        problem = Problem(403, "This page is not for users with a limit to some domains.")
        return render(view, visitor, Filters(), problem)
    return await answer(site, view, request, visitor, view.query)


async def show_message(site: Site, request: Request, visitor: Visitor) -> Response:
    """Return the page of one message."""
    ref = str(request.path_params["ref"])
    return await answer(site, _MESSAGE, request, visitor, partial(_find_message, ref=ref))


def _find_message(source: Source, filters: Filters, ref: str) -> Shown | None:
    return message.query(source, filters, ref)


async def answer(
    site: Site,
    view: View,
    request: Request,
    visitor: Visitor,
    query: Callable[[Source, Filters], Shown | None],
) -> Response:
    """Return the page of a query of a view, or an export."""
    source = Source(site.config, visitor.user.scope)
    try:
        filters = parse_filters(request.query_params, source.now)
    except FilterError as error:
        return render(view, visitor, Filters(), Problem(400, str(error)))
    found = _with_cursor(site, await ask(site, lambda: query(source, filters)))
    name = request.query_params.get("format", "")
    if not name or isinstance(found, Problem):
        return render(view, visitor, filters, found)
    return _export(view, found, name, request.query_params.get("table", ""))


def _with_cursor(site: Site, found: Shown | Problem) -> Shown | Problem:
    """Add the text of the position in the ledger, from which a live stream continues."""
    if isinstance(found, Problem) or "position" not in found.facts:
        return found
    after = site.live.cursors.make(found.facts["position"])
    return found._replace(facts={**found.facts, "after": after})


def _export(view: View, found: Shown, name: str, table_name: str) -> Response:
    table = found.table(table_name)
    if name not in FORMATS or table is None:
        return Response("expected format=csv or format=json, and a table of the page\n", 404)
    encode, media_type = FORMATS[name]
    file = f'attachment; filename="{view.name}-{table.name}.{name}"'
    return Response(encode(table), 200, {"Content-Disposition": file}, media_type)


def render(
    view: View, visitor: Visitor, filters: Filters, found: Shown | Problem, status: int = 200
) -> Response:
    """Return the page of a view, or that of a problem, which has a status of its own."""
    problem = found if isinstance(found, Problem) else None
    shown = Shown([]) if isinstance(found, Problem) else found
    status = problem.status if problem else status
    template = "problem.html" if problem else f"{view.name}.html"
    facts: Mapping[str, Any] = shown.facts
    return page(
        template,
        status,
        view=view,
        views=visible_views(visitor),
        visitor=visitor,
        filters=filters,
        zone=filters.tz,
        labels=LABELS,
        periods=list(PERIODS),
        results=RESULTS,
        tables={table.name: table for table in shown.tables},
        problem=problem,
        queue_actions=ACTIONS,
        **facts,
    )


def visible_views(visitor: Visitor) -> list[View]:
    """Return the views that a user may see."""
    sees_all, is_admin = visitor.user.scope.is_everything, visitor.user.role == "admin"
    return [
        one for one in VIEWS if (one.is_scoped or sees_all) and (is_admin or not one.for_admins)
    ]
