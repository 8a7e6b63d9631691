"""The pages that allow mail until a time, and that end an entry.

Each asks once. The result is on the page, and in the view Allowed, where it can be undone.

Security: only administrators without a limit to domains, by a form with the token of their session
(`app`).
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from gatepost.allow.entry import Entry, moment
from gatepost.server.allowing import EVENTS
from gatepost.web.access.forms import read_form
from gatepost.web.allows import PATH, Requested, allow, end, subject_of
from gatepost.web.asking import Problem, ask
from gatepost.web.changes import ChangeError
from gatepost.web.filters import FilterError, Filters, parse_filters
from gatepost.web.showing import render
from gatepost.web.site import Site, Visitor
from gatepost.web.source import Source
from gatepost.web.views import choosing
from gatepost.web.views.allowed import END_PATH
from gatepost.web.views.view import Shown, View

VIEW = View("allow", PATH, "Allow until…", "", lambda _s, _f: Shown([]), is_scoped=False)
END_VIEW = View(
    "disallow", END_PATH, "Remove an entry", "", lambda _s, _f: Shown([]), is_scoped=False
)
DENIED = "Only administrators without a limit to some domains allow mail."

T = TypeVar("T")


def may_allow(visitor: Visitor) -> bool:
    """Return whether a user changes what is allowed."""
    return visitor.user.role == "admin" and visitor.user.scope.is_everything


async def allow_page(site: Site, request: Request, visitor: Visitor) -> Response:
    """Ask what to allow and until when, or allow it if the form confirms that."""
    if not may_allow(visitor):
        return render(VIEW, visitor, Filters(), Problem(403, DENIED))
    source = Source(site.config, visitor.user.scope)
    given = await read_form(request) if request.method == "POST" else request.query_params
    try:
        filters = parse_filters({"q": given.get("q", "")}, source.now)
    except FilterError as error:
        return render(VIEW, visitor, Filters(), Problem(400, str(error)))
    if request.method == "POST":
        return await _allow(site, visitor, given)
    ref = given.get("ref", "")
    return render(VIEW, visitor, filters, await _asked(site, choosing.query, source, filters, ref))


async def _allow(site: Site, visitor: Visitor, form: Mapping[str, str]) -> Response:
    requested = Requested(
        form.get("what", ""),
        form.get("date", "").strip() or form.get("until", ""),
        form.get("note", ""),
        form.get("traps") == "yes",
        form.get("force") == "yes",
    )
    folder, by = site.config.data_dir, f"user {visitor.user.name}"
    found = await _asked(site, allow, folder, requested, by, time.time())
    if isinstance(found, Problem):
        return render(VIEW, visitor, Filters(), found)
    entry, old = found
    event = EVENTS["added" if old is None else "changed"]
    site.audit.record(event, by, visitor.client.address, str(entry))
    text = f"{entry.what} is allowed until {moment(entry.until)}."
    facts = {"choices": [], "text": f"It replaces: {old}" if old else "", "done": text}
    return render(VIEW, visitor, Filters(), Shown([], facts))


async def end_page(site: Site, request: Request, visitor: Visitor) -> Response:
    """Ask whether to remove the entry in `what`, or remove it if the form confirms that."""
    if not may_allow(visitor):
        return render(END_VIEW, visitor, Filters(), Problem(403, DENIED))
    is_sure = request.method == "POST"
    given = await read_form(request) if is_sure else request.query_params
    what, by = given.get("what", ""), f"user {visitor.user.name}"
    if not is_sure:
        found: object = await _asked(site, lambda: str(subject_of(what)))
        shown = found if isinstance(found, Problem) else Shown([], {"what": found, "done": ""})
        return render(END_VIEW, visitor, Filters(), shown)
    removed = await _asked(site, end, site.config.data_dir, what, by, time.time())
    if isinstance(removed, Problem):
        return render(END_VIEW, visitor, Filters(), removed)
    return _ended(site, visitor, removed, by)


def _ended(site: Site, visitor: Visitor, removed: Entry, by: str) -> Response:
    site.audit.record(EVENTS["removed"], by, visitor.client.address, str(removed))
    done = f"{removed.what} is not allowed any more."
    return render(END_VIEW, visitor, Filters(), Shown([], {"what": removed.what, "done": done}))


async def _asked(site: Site, work: Callable[..., T | None], *args: object) -> T | Problem:
    """Return the result of a query or change; one that is not possible is a problem."""
    try:
        return await ask(site, partial(work, *args))
    except ChangeError as error:
        return Problem(400, str(error))
