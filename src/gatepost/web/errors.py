"""Errors that are no page of a view, in the form that the client reads.

A browser gets a page, a program of the API problem details, and others get plain text.
"""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope

from gatepost.web.pages import page
from gatepost.web.problems import BASE, STATUS, problem


def error_response(scope: Scope, status: int, text: str) -> Response:
    """Return an error for the client of a request; `text` is a sentence."""
    path = scope["path"]
    if path == STATUS or path.startswith(f"{BASE}/"):
        return problem(status, text)
    if "text/html" in Headers(scope=scope).get("accept", ""):
        return page("error.html", status, title=HTTPStatus(status).phrase, text=text)
    return PlainTextResponse(f"{text}\n", status)
