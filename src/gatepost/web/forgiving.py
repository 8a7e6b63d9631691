"""The page that asks before a client and a domain are forgiven, and forgives them.

It does what `gatepost traps forgive` does.

Security: only administrators without a limit to domains, by a form with the token of their session
(`app`).
"""

from collections.abc import Sequence
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from gatepost.checks.forgiving import Forgiven, forgive
from gatepost.web.access.forms import read_form
from gatepost.web.asking import Problem, ask
from gatepost.web.changes import ChangeError
from gatepost.web.filters import Filters
from gatepost.web.showing import render
from gatepost.web.site import Site, Visitor
from gatepost.web.source import Source
from gatepost.web.views import forgiving
from gatepost.web.views.forgiving import PATH, subjects
from gatepost.web.views.view import Shown, View

VIEW = View("forgive", PATH, "Forgive", "", lambda _s, _f: Shown([]), is_scoped=False)
DENIED = "Only administrators without a limit to some domains forgive."


async def forgive_page(site: Site, request: Request, visitor: Visitor) -> Response:
    """Ask whether to forgive what is in `what`, or do it if the form confirms that."""
    if visitor.user.role != "admin" or not visitor.user.scope.is_everything:
        return render(VIEW, visitor, Filters(), Problem(403, DENIED))
    source = Source(site.config, visitor.user.scope)
    try:
        if request.method == "POST":
            what = (await read_form(request)).get("what", "")
            found = await _forgive(site, visitor, source, what)
        else:
            what = request.query_params.get("what", "")
            found = await ask(site, partial(forgiving.query, source, Filters(), what))
    except ChangeError as error:
        found = Problem(400, str(error))
    return render(VIEW, visitor, Filters(), found)


async def _forgive(site: Site, visitor: Visitor, source: Source, what: str) -> Shown | Problem:
    done = await ask(site, partial(forgiven, source, what))
    if isinstance(done, Problem):
        return done
    by, client = f"user {visitor.user.name}", visitor.client.address
    site.audit.record("memory forgiven", by, client, text_of(done))
    return Shown([], {"what": what, "names": [], "found": 0, "done": done})


def forgiven(source: Source, what: str) -> list[Forgiven]:
    """Forgive what a text stands for; raises `ChangeError` and `ForgiveError`."""
    return forgive(subjects(source, what), source.config)


def text_of(found: Sequence[Forgiven]) -> str:
    """Return a change for the record of it."""
    return ", ".join(f"{one.name}: {one.deleted} on record" for one in found)
