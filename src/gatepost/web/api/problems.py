"""The errors of the API: problem details (RFC 9457)."""

from http import HTTPStatus

import msgspec
from starlette.responses import Response

PROBLEM = "application/problem+json"


class ProblemDetails(msgspec.Struct, frozen=True):
    """An error (RFC 9457)."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """Return an error."""
    found = ProblemDetails(HTTPStatus(status).phrase, status, detail)
    return Response(msgspec.json.encode(found), status, headers, PROBLEM)
