"""`/status.json`: the state of the server in a few numbers, for status pages and monitoring.

Security: it has no address, no name and no text of a client. Without `web.public_status` it needs a
login or a token without domains.

Limits: the state is read at most once in SECONDS, however many ask.
"""

import time
from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gatepost.checks.health import ServerHealth
from gatepost.web.asking import Problem, ask
from gatepost.web.problems import problem
from gatepost.web.scope import Scope
from gatepost.web.site import Site
from gatepost.web.source import Source
from gatepost.web.token_check import TooManyError, check_token

SECONDS = 5.0


class Status(msgspec.Struct, frozen=True):
    """The state of the server. `queued`, `held` and `oldest` are None without a readable queue.

    `workers` are those that accept connections, `oldest` is an age in seconds.
    """

    status: str
    time: float
    running: bool
    workers: int
    queued: int | None = None
    held: int | None = None
    oldest: float | None = None


class StatusPage:
    """Answers requests for the status of a site; `clock` returns seconds."""

    def __init__(self, site: Site, clock: Callable[[], float] = time.monotonic) -> None:
        self._site = site
        self._clock = clock
        self._until = 0.0
        self._last: Status | None = None

    async def answer(self, request: Request) -> Response:
        """Return the status, or an error without a login."""
        try:
            if not self._site.config.web.public_status and not self._is_allowed(request):
                return problem(401, "Log in first, or send a valid token without domains.")
        except TooManyError as error:
            return problem(429, str(error), {"Retry-After": str(error.seconds)})
        found = await self._status()
        if isinstance(found, Problem):
            return problem(found.status, found.text)
        status = 503 if found.status == "problem" else 200
        return Response(msgspec.json.encode(found), status, media_type="application/json")

    def _is_allowed(self, request: Request) -> bool:
        """Return whether a request has a login or a token, without domains."""
        visitor = self._site.visitor(request)
        if visitor is not None:
            return visitor.user.scope.is_everything
        token = check_token(self._site, request)
        return token is not None and token.scope.is_everything

    async def _status(self) -> Status | Problem:
        if self._last is None or self._clock() > self._until:
            source = Source(self._site.config, Scope())
            found = await ask(self._site, lambda: status_of(source.health(), source.now))
            if isinstance(found, Problem):
                return found
            self._last, self._until = found, self._clock() + SECONDS
        return self._last


def status_of(health: ServerHealth, now: float) -> Status:
    """Return the numbers of a state."""
    ready = sum(one.ready for one in health.workers)
    queue = health.queue
    if queue is None:
        return Status(health.level, now, health.running, ready)
    queued = queue.active + queue.deferred
    return Status(health.level, now, health.running, ready, queued, queue.held, queue.oldest)
