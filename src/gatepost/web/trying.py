"""The page on which an administrator tries a message, and its result.

A trial changes nothing, so it is a line in the log, and no event in the ledger.

Security: only administrators without a limit to domains, by a form with the token of their session
(`app`). A trial runs the plugins of the server with content that comes from outside, as the server
does.
Limits: those of `trials`. A message of up to KEPT octets stays in the form.
"""

from collections.abc import Mapping
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from gatepost.web.access.forms import read_fields, read_file
from gatepost.web.asking import Problem, ask
from gatepost.web.filters import Filters
from gatepost.web.registry import VIEWS
from gatepost.web.showing import render
from gatepost.web.site import Site, Visitor
from gatepost.web.trials import BusyTrialsError, TryError, log_trial
from gatepost.web.views import try_, try_form
from gatepost.web.views.try_form import PATH, TryForm
from gatepost.web.views.view import Shown

VIEW = next(one for one in VIEWS if one.path == PATH)
DENIED = "Only administrators without a limit to some domains try messages."
KEPT = 256 * 1024


def refuse(visitor: Visitor) -> Response | None:
    """Return the page for a user who tries no messages, None for one who does."""
    if visitor.user.role == "admin" and visitor.user.scope.is_everything:
        return None
    return render(VIEW, visitor, Filters(), Problem(403, DENIED))


async def try_page(site: Site, request: Request, visitor: Visitor) -> Response:
    """Return the form, filled in from the address; with POST also the result.

    The visitor is one that `refuse` lets pass.
    """
    if request.method != "POST":
        form = try_form.read_fields(request.query_params.multi_items())
        return render(VIEW, visitor, Filters(), await _form(site, form, {}))
    form = try_form.read_fields(await read_fields(request))
    content = await read_file(request, "file") or form.message.encode()
    return await _answer(site, visitor, form._replace(message=_kept(content)), content)


async def _form(site: Site, form: TryForm, problems: Mapping[str, str]) -> Shown | Problem:
    return await ask(site, partial(try_.form_page, site.config, form, problems))


def _kept(content: bytes) -> str:
    """Return a message as text for the form, "" if it is too large or no text."""
    try:
        return content.decode() if len(content) <= KEPT and b"\0" not in content else ""
    except UnicodeDecodeError:
        return ""


async def _answer(site: Site, visitor: Visitor, form: TryForm, content: bytes) -> Response:
    try:
        tried = await site.trials.run(site.config, form.given, form.compare, content)
    except TryError as error:
        found = await _form(site, form, error.problems)
        return render(VIEW, visitor, Filters(), found, 400)
    except BusyTrialsError as error:
        return render(VIEW, visitor, Filters(), Problem(503, str(error)))
    log_trial(f"user {visitor.user.name}", visitor.client.address)
    page = await _form(site, form, {})
    if isinstance(page, Shown):
        page = try_.result_page(page, form, tried, Filters().tz)
    return render(VIEW, visitor, Filters(), page)
