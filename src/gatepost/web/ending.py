"""The page that asks before a session is ended, and ends it.

The client gets 421. A session whose message is being delivered is not ended: the client would not
learn of the delivery.

Security: only administrators without a limit to domains, by a form with the token of their session
(`app`).
"""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from gatepost.process.live import end_sessions
from gatepost.web.access.forms import read_form
from gatepost.web.asking import Problem, ask
from gatepost.web.filters import Filters
from gatepost.web.showing import render
from gatepost.web.site import Site, Visitor
from gatepost.web.views.now import END_PATH
from gatepost.web.views.view import Shown, View

VIEW = View("end", END_PATH, "End a session", "", lambda _s, _f: Shown([]), is_scoped=False)
DENIED = "Only administrators without a limit to some domains end sessions."
# The result on the page, by the answer of the server.
OUTCOMES = {
    "ended": "The session was ended. The client got 421.",
    "delivering": "The session was not ended: its message is being delivered.",
    "unknown": "No open session has this reference. It has ended meanwhile.",
}
_MOST = 100


async def end_session(site: Site, request: Request, visitor: Visitor) -> Response:
    """Ask whether to end the session in `ref`, or end it if the form confirms that."""
    if visitor.user.role != "admin" or not visitor.user.scope.is_everything:
        return render(VIEW, visitor, Filters(), Problem(403, DENIED))
    is_sure = request.method == "POST"
    given = await read_form(request) if is_sure else request.query_params
    ref = given.get("ref", "")
    if not ref or len(ref) > _MOST or not ref.isprintable():
        return render(VIEW, visitor, Filters(), Problem(400, "Expected a reference."))
    if not is_sure:
        return render(VIEW, visitor, Filters(), Shown([], {"ref": ref, "text": ""}))
    author = f"user {visitor.user.name}"
    found = await ask(site, partial(end_sessions, site.config.data_dir, [ref], author))
    if isinstance(found, Problem):
        return render(VIEW, visitor, Filters(), found)
    outcome = found.results[ref]
    if outcome == "ended":
        site.audit.record("dashboard session ended", author, visitor.client.address, ref)
    return render(VIEW, visitor, Filters(), Shown([], {"ref": ref, "text": OUTCOMES[outcome]}))
