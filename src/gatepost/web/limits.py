"""The limits of a request by its path: octets of its body, seconds with its response.

A path without a row has the usual ones. `guard` and `server` apply them.
"""

from collections.abc import Mapping
from typing import NamedTuple

# The time of a live stream, after which a browser opens the next; see `gatepost.web.live`.
STREAM = 3600.0


class Limits(NamedTuple):
    """The limits of one request."""

    body: int = 64 * 1024
    seconds: float = 30.0


USUAL = Limits()
_LIVE = Limits(seconds=STREAM + USUAL.seconds)
ROUTES: Mapping[str, Limits] = {
    "/live/sessions": _LIVE,
    "/live/events": _LIVE,
    "/api/v1/events": _LIVE,
}


def limits_of(path: str) -> Limits:
    """Return the limits of the requests for a path."""
    return ROUTES.get(path, USUAL)
