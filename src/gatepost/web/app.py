"""The application: which path has which page, and for which visitors.

All but the login, the link for the first user and the static files need a login.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from gatepost.log.logger import get_logger
from gatepost.web import login
from gatepost.web.access.client import client_of
from gatepost.web.access.entries import EntriesError
from gatepost.web.access.forms import read_form
from gatepost.web.allowing import allow_page, end_page
from gatepost.web.allows import PATH as ALLOW
from gatepost.web.api.app import make_api
from gatepost.web.changing import change_queue
from gatepost.web.ending import end_session
from gatepost.web.errors import error_response
from gatepost.web.forgiving import forgive_page
from gatepost.web.guard import BODY, Guard
from gatepost.web.learning import PATH as LEARN
from gatepost.web.learning import learn_page
from gatepost.web.pages import page
from gatepost.web.problems import BASE, STATUS
from gatepost.web.registry import VIEWS
from gatepost.web.reviewing import trap_page
from gatepost.web.showing import show, show_message
from gatepost.web.site import Site, Visitor
from gatepost.web.status import StatusPage
from gatepost.web.streaming import EVENTS_PATH, LIVE, SESSIONS_PATH, rows_stream, sessions_stream
from gatepost.web.trials import most_octets
from gatepost.web.trying import refuse, try_page
from gatepost.web.views.allowed import END_PATH as END_ENTRY
from gatepost.web.views.forgiving import PATH as FORGIVE
from gatepost.web.views.now import END_PATH
from gatepost.web.views.review import PATH
from gatepost.web.views.try_form import PATH as TRY_PATH

Endpoint = Callable[[Request], Awaitable[Response]]
Handler = Callable[[Site, Request, Visitor], Awaitable[Response]]
Refuse = Callable[[Visitor], Response | None]

_CACHED = "public, max-age=3600"
_OLD_FORM = "The form is not valid any more. Load the page again."
_NO_PAGE = "There is no such page."

_log = get_logger("gatepost.web")


def make_app(site: Site) -> ASGIApp:
    """Return the application of a site."""
    most = most_octets(site.config)
    views = [Route(view.path, _for_users(site, partial(_show, view=view))) for view in VIEWS]
    return Guard(
        Starlette(
            routes=[
                Route("/", _for_users(site, _home)),
                Route(TRY_PATH, _for_users(site, try_page, refuse), methods=["GET", "POST"]),
                *views,
                Route("/message/{ref}", _for_users(site, show_message)),
                Route(PATH, _for_users(site, trap_page), methods=["GET", "POST"]),
                Route(END_PATH, _for_users(site, end_session), methods=["GET", "POST"]),
                Route(ALLOW, _for_users(site, allow_page), methods=["GET", "POST"]),
                Route(END_ENTRY, _for_users(site, end_page), methods=["GET", "POST"]),
                Route(FORGIVE, _for_users(site, forgive_page), methods=["GET", "POST"]),
                Route(LEARN, _for_users(site, learn_page), methods=["POST"]),
                Route(SESSIONS_PATH, _for_users(site, sessions_stream)),
                Route(EVENTS_PATH, _for_users(site, rows_stream)),
                Route("/queue/change", _for_users(site, change_queue), methods=["POST"]),
                Route("/login", _login(site), methods=["GET", "POST"]),
                Route("/logout", _for_users(site, _log_out), methods=["POST"]),
                Route("/first", _first(site), methods=["GET", "POST"]),
                Route(STATUS, StatusPage(site).answer),
                Mount(BASE, make_api(site)),
                Mount("/static", _Static(packages=[("gatepost.web", "static")])),
            ],
            exception_handlers={
                HTTPException: _http_error,
                500: _failed,
                EntriesError: _users_error,
            },
        ),
        # The API has messages in Base64.
        {TRY_PATH: BODY + most, BASE + TRY_PATH: BODY + 4 * most // 3},
    )


class _Static(StaticFiles):
    """The files of this package, which browsers may keep for a while."""

    async def get_response(self, path: str, scope: Any) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = _CACHED
        return response


def _for_users(site: Site, handle: Handler, turn_away: Refuse = lambda _visitor: None) -> Endpoint:
    """Return an endpoint for visitors with a login; a form needs its token.

    `turn_away` returns the response to visitors whose forms are not even read, None for others.
    """

    async def endpoint(request: Request) -> Response:
        visitor = site.visitor(request)
        if visitor is None:
            return _not_logged_in(site, request)
        refusal = turn_away(visitor)
        if refusal is not None:
            return refusal
        if request.method == "POST" and not await _is_own_form(site, request, visitor):
            return error_response(request.scope, 403, _OLD_FORM)
        return await handle(site, request, visitor)

    return endpoint


async def _is_own_form(site: Site, request: Request, visitor: Visitor) -> bool:
    if not login.is_from_here(request):
        return False
    form = await read_form(request)
    return site.allows(visitor, form.get("token", ""))


def _not_logged_in(site: Site, request: Request) -> Response:
    name = client_of(request, site.config.web).user
    if name:
        return page("unknown.html", 403, name=name)
    is_page = not request.scope["path"].startswith(LIVE)
    if request.method != "GET" or "format" in request.query_params or not is_page:
        return error_response(request.scope, 401, "Log in first.")
    query = request.scope["query_string"].decode("latin-1")
    target = request.scope["path"] + (f"?{query}" if query else "")
    return RedirectResponse(f"/login?next={quote(target, safe='')}", 303)


async def _home(_site: Site, _request: Request, _visitor: Visitor) -> Response:
    return RedirectResponse(VIEWS[0].path, 303)


async def _show(site: Site, request: Request, visitor: Visitor, *, view: Any) -> Response:
    return await show(site, view, request, visitor)


async def _log_out(site: Site, _request: Request, visitor: Visitor) -> Response:
    return login.log_out(site, visitor)


def _login(site: Site) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        if request.method != "POST":
            return login.show_login(request)
        if not login.is_from_here(request):
            return error_response(request.scope, 403, "Log in on the page of this site.")
        return await login.log_in(site, request)

    return endpoint


def _first(site: Site) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        if request.method != "POST":
            return login.show_first(site, request)
        if not login.is_from_here(request):
            return error_response(request.scope, 403, "Use the page of this site.")
        return await login.add_first(site, request)

    return endpoint


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = _NO_PAGE if error.status_code == HTTPStatus.NOT_FOUND else error.detail.strip()
    response = error_response(request.scope, error.status_code, text)
    response.headers.update(error.headers or {})
    return response


async def _failed(request: Request, _error: Exception) -> Response:
    text = "An internal error. The log of the server has its cause."
    return error_response(request.scope, 500, text)


async def _users_error(request: Request, error: Exception) -> Response:
    _log.error("users not readable", problem=str(error))
    text = "The users of the dashboard cannot be read. The log of the server has the reason."
    return error_response(request.scope, 503, text)
