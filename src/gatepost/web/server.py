"""HTTP connections of the dashboard, on a listening socket.

The protocol is that of uvicorn with h11. Its server is not used: it takes signals, writes a log of
its own and wakes up ten times a second.

Limits: CONNECTIONS at the same time; further requests get 503. HEAD seconds for a request line and
its header, from the connection or the end of the last response on, and HEAD_OCTETS of them. The
handshake of TLS has the same time. `guard` has the limits of a request; after ANSWER seconds a
connection is closed even if the client does not read.
"""

import asyncio
import logging
import socket
import ssl
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from gatepost.web.guard import SECONDS

CONNECTIONS = 100
HEAD = 15.0
HEAD_OCTETS = 32 * 1024
ANSWER = SECONDS + 30.0
# How long requests may continue when the process stops, in seconds.
GRACE = 3.0


class _Protocol(H11Protocol):
    """One connection, which is closed if the client is too slow."""

    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(transport)
        self._end_after(HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Wait for the end of the response when a request has come."""
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._end_after(ANSWER)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._end_after(HEAD)
        super().on_response_complete()

    def _end_after(self, seconds: float) -> None:
        self._stop_waiting()
        self._end = self.loop.call_later(seconds, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None


class WebServer:
    """Serves an application on a socket; `tls` is the context of HTTPS, None for HTTP."""

    def __init__(self, app: ASGIApp, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        _silence()
        self._config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            h11_max_incomplete_event_size=HEAD_OCTETS,
            timeout_keep_alive=int(HEAD),
        )
        self._config.load()
        self._state = ServerState()
        self._sock = sock
        self._tls = tls
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Accept connections."""
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {"ssl": self._tls} if self._tls else {}
        if self._tls is not None:
            options["ssl_handshake_timeout"] = HEAD
        make = loop.create_unix_server if _is_unix(self._sock) else loop.create_server
        self._server = await make(self._protocol, sock=self._sock, backlog=CONNECTIONS, **options)

    def _protocol(self) -> asyncio.Protocol:
        return _Protocol(self._config, self._state, {})

    async def stop(self) -> None:
        """Accept no more connections, and let requests continue for GRACE seconds."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=GRACE)


def _is_unix(sock: socket.socket) -> bool:
    return sock.family == socket.AF_UNIX


def _silence() -> None:
    """Keep messages about requests that are no HTTP from the log: clients cause them."""
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL + 1)
