"""The application of the API: tokens, parameters, results and errors.

Security: only a token in the header field Authorization counts, never a cookie, so that no page of
another site can use the login of a browser. Every operation needs one; the OpenAPI document has
nothing about this server and needs none.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gatepost.log.logger import get_logger
from gatepost.web.access.api_tokens import ApiToken
from gatepost.web.access.client import client_of
from gatepost.web.access.entries import EntriesError
from gatepost.web.api.openapi import document
from gatepost.web.api.operations import JSON, OPERATIONS, Call, Operation
from gatepost.web.api.parameters import checked, seconds_of
from gatepost.web.api.results import TrialData
from gatepost.web.asking import Problem, ask
from gatepost.web.changes import ChangeError
from gatepost.web.filters import FilterError, parse_filters
from gatepost.web.live.cursor import CursorError
from gatepost.web.live.places import RETRY_AFTER
from gatepost.web.live.records import RecordsViewer
from gatepost.web.live.stream import EventStream, Stream, start_of
from gatepost.web.problems import problem
from gatepost.web.site import Site
from gatepost.web.token_check import TooManyError, check_token, valid_token
from gatepost.web.trials import log_trial
from gatepost.web.views.find import timeless

_NO_TOKEN = "Send a valid token: Authorization: Bearer TOKEN"  # noqa: S105 - no token

_log = get_logger("gatepost.web")


def make_api(site: Site) -> Starlette:
    """Return the application of the API of a site."""
    described = msgspec.json.encode(document())

    async def describe(_request: Request) -> Response:
        return Response(described, media_type=JSON)

    return Starlette(
        routes=[
            Route("/openapi.json", describe),
            *(Route(one.path, _endpoint(site, one), methods=[one.method]) for one in OPERATIONS),
        ],
        exception_handlers={
            HTTPException: _http_error,
            FilterError: _wrong_request,
            ChangeError: _wrong_request,
            msgspec.MsgspecError: _wrong_request,
            CursorError: _wrong_request,
            EntriesError: _tokens_error,
            TooManyError: _too_many,
            500: _failed,
        },
    )


def _endpoint(site: Site, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        token = check_token(site, request)
        if token is None:
            return problem(401, _NO_TOKEN, {"WWW-Authenticate": "Bearer"})
        refusal = _refusal(operation, token)
        if refusal:
            return problem(403, refusal)
        answer = _stream if operation.stream else _answer
        return await answer(site, operation, token, request)

    return endpoint


def _refusal(operation: Operation, token: ApiToken) -> str:
    """Return why a token may not use an operation, "" if it may."""
    if operation.role == "admin" and token.role != "admin":
        return "The token needs the role admin."
    if not operation.is_scoped and not token.scope.is_everything:
        return "The token must not be limited to some domains."
    return ""


async def _call(site: Site, operation: Operation, token: ApiToken, request: Request) -> Call:
    """Return the input of an operation; raises what is an error of the request."""
    source = site.source(token.scope)
    values = checked(request.query_params.multi_items(), operation.parameters)
    return Call(
        source,
        parse_filters(values, source.now),
        values,
        request.path_params,
        f"token {token.name}",
        await _body(operation, request),
    )


async def _answer(site: Site, operation: Operation, token: ApiToken, request: Request) -> Response:
    call = await _call(site, operation, token, request)
    found: Any | Problem
    if operation.waits:
        found = await operation.run(call, site.trials)
    else:
        found = await ask(site, partial(operation.run, call))
    if isinstance(found, Problem):
        return problem(found.status, found.text)
    client = client_of(request, site.config.web).address
    if isinstance(found, TrialData):
        log_trial(call.author, client)
    if operation.audited is not None:
        event, detail = operation.audited(call, found)
        site.audit.record(event, call.author, client, detail)
    return Response(msgspec.json.encode(found), media_type=JSON)


async def _stream(site: Site, operation: Operation, token: ApiToken, request: Request) -> Response:
    """Return a stream, which ends when the token is changed, removed or expires."""
    call = await _call(site, operation, token, request)
    seconds, position = seconds_of(call.values), start_of(request, site.live.cursors)
    found: Any | Problem = await ask(site, partial(operation.run, call))
    if isinstance(found, Problem):
        return problem(found.status, found.text)
    group = (token.scope, timeless(call.filters))
    sees_counts = token.scope.is_everything
    viewer = RecordsViewer(operation.stream, group, found, position, sees_counts=sees_counts)
    may_see = partial(_is_same, site, request, token)
    stream = Stream(site.live.records, viewer, may_see, site.live.is_closing, seconds)
    return EventStream(stream, site.live.places, call.author, _full)


def _is_same(site: Site, request: Request, token: ApiToken) -> bool:
    try:
        return valid_token(site, request) == token
    except EntriesError:
        return False


def _full(text: str) -> Response:
    return problem(503, text, {"Retry-After": str(RETRY_AFTER)})


async def _body(operation: Operation, request: Request) -> msgspec.Struct | None:
    """Return the body of a request; raises HTTPException and `msgspec.MsgspecError`."""
    if operation.body is None:
        return None
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise HTTPException(415, f"Send {JSON}")
    try:
        found: msgspec.Struct = msgspec.json.decode(await request.body(), type=operation.body)
    except UnicodeDecodeError as error:
        raise HTTPException(400, "expected UTF-8") from error
    return found


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, error.detail.strip(), dict(error.headers or {}))


async def _wrong_request(_request: Request, error: Exception) -> Response:
    return problem(400, str(error))


async def _tokens_error(_request: Request, error: Exception) -> Response:
    _log.error("tokens not readable", problem=str(error))
    return problem(503, "The tokens cannot be read. The log of the server has the reason.")


async def _too_many(_request: Request, error: Exception) -> Response:
    assert isinstance(error, TooManyError)
    return problem(429, str(error), {"Retry-After": str(error.seconds)})


async def _failed(_request: Request, _error: Exception) -> Response:
    return problem(500, "An internal error. The log of the server has its cause.")
