"""The time of a request with its response, by its path. `guard` and `server` apply it."""

from collections.abc import Mapping

SECONDS = 30.0
# The time of a live stream, after which a browser opens the next; see `gatepost.web.live`.
STREAM = 3600.0
# The paths with another time.
PATHS: Mapping[str, float] = {
    "/live/sessions": STREAM + SECONDS,
    "/live/events": STREAM + SECONDS,
    "/api/v1/events": STREAM + SECONDS,
}


def seconds_of(path: str) -> float:
    """Return the seconds that a request for a path may take."""
    return PATHS.get(path, SECONDS)
