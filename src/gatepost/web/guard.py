"""The rules of every request: its limits, the header fields of every response, errors.

A plain ASGI application around another one, so that a response can be a stream.

Security: pages load nothing from other hosts and run no code but that of `/static`. They are not
shown in frames, and not stored by caches. An error shows nothing about its cause; the log has it.

Limits: BODY octets of a request, unless its path has another limit; the time of
`gatepost.web.limits` for it and its response.
"""

import asyncio
from collections.abc import Mapping, Sequence

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatepost.log.logger import get_logger
from gatepost.web.limits import seconds_of

BODY = 64 * 1024
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_log = get_logger("gatepost.web")


class Guard:
    """An application with limits around another one; `bodies` has those of paths."""

    def __init__(self, app: ASGIApp, bodies: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._bodies = bodies or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = _Response(send)
        body = _Body(receive, self._bodies.get(scope.get("path", ""), BODY))
        try:
            async with asyncio.timeout(seconds_of(scope["path"])):
                await self._app(scope, body.receive, response.send)
        except TimeoutError:
            await response.fail(503, "The request took too long.")
        except Exception as error:  # noqa: BLE001 - the application has answered with 500
            path = str(scope.get("path", ""))
            _log.error("page failed", path=path, error=f"{type(error).__name__}: {error}")


class _Body:
    """The body of a request; raises HTTPException."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = most
        self._octets = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._octets += len(message.get("body", b""))
        if self._octets > self._most:
            expected = f"expected at most {self._most:,} octets"
            raise HTTPException(413, f"The request is too large: {expected}.\n")
        return message


class _Response:
    """A response, with the header fields that all have."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._is_started = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)

    async def fail(self, status: int, text: str) -> None:
        """Send an error, if nothing has been sent."""
        if self._is_started:
            return
        headers: Sequence[tuple[bytes, bytes]] = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"connection", b"close"),
        ]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": f"{text}\n".encode()})
