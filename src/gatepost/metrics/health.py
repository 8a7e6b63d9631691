"""The answer of /health: whether the server runs and accepts connections."""

from collections.abc import Mapping, Sequence

import msgspec


class Health(msgspec.Struct, frozen=True):
    """The state of the server.

    `live` is whether it runs, `ready` whether it accepts connections. `since` is the time of its
    start in seconds since 1970. `workers` are those that are ready, by their process ids.
    `reload` is the last reload: "" without one, "ok", or why it has failed.
    """

    live: bool
    ready: bool
    since: float = 0.0
    version: str = ""
    workers: Sequence[int] = ()
    reload: str = ""
    reloaded: float = 0.0
    warnings: Sequence[str] = ()


# By path: the field that decides between the status codes 200 and 503.
CHECKS: Mapping[str, str] = {"/health": "ready", "/health/ready": "ready", "/health/live": "live"}


def answer(path: str, health: Health) -> tuple[int, bytes]:
    """Return the status code and the JSON text for a path of CHECKS."""
    code = 200 if getattr(health, CHECKS[path]) else 503
    return code, msgspec.json.encode(health) + b"\n"
