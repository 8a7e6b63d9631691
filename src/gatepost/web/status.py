"""`/status.json`: the state of the server in a few numbers, for status pages and monitoring.

Security: it has no address, no name and no text of a client. Without `web.public_status` it needs a
login or a token without domains.

Limits: the state is read at most once in SECONDS, however many ask.
"""

import time

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gatepost.checks.health import ServerHealth
from gatepost.web.access.api_tokens import bearer
from gatepost.web.asking import Problem, ask
from gatepost.web.scope import Scope
from gatepost.web.site import Site

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
    """Answers requests for the status of a site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._until = 0.0
        self._last: Status | None = None

    async def answer(self, request: Request) -> Response:
        """Return the status, or an error without a login."""
        if not self._site.config.web.public_status and not self._is_allowed(request):
            return Response("Log in first.\n", 401, media_type="text/plain")
        found = await self._status()
        if isinstance(found, Problem):
            return Response(f"{found.text}\n", found.status, media_type="text/plain")
        status = 503 if found.status == "problem" else 200
        return Response(msgspec.json.encode(found), status, media_type="application/json")

    def _is_allowed(self, request: Request) -> bool:
        visitor = self._site.visitor(request)
        if visitor is not None:
            return visitor.user.scope.is_everything
        token = self._site.api_tokens.find(bearer(request), time.time())
        return token is not None and token.scope.is_everything

    async def _status(self) -> Status | Problem:
        if self._last is None or time.monotonic() > self._until:
            source = self._site.source(Scope())
            found = await ask(self._site, lambda: status_of(source.health(), source.now))
            if isinstance(found, Problem):
                return found
            self._last, self._until = found, time.monotonic() + SECONDS
        return self._last


def status_of(health: ServerHealth, now: float) -> Status:
    """Return the numbers of a state."""
    ready = sum(one.ready for one in health.workers)
    queue = health.queue
    if queue is None:
        return Status(health.level, now, health.running, ready)
    queued = queue.active + queue.deferred
    return Status(health.level, now, health.running, ready, queued, queue.held, queue.oldest)
