"""Errors for programs: problem details (RFC 9457), and the paths of what programs read."""

from http import HTTPStatus

import msgspec
from starlette.responses import Response

VERSION = "1"
BASE = f"/api/v{VERSION}"
STATUS = "/status.json"
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
