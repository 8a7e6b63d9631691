"""HTTP connections of the dashboard, on a listening socket.

The protocol is that of uvicorn with h11. Its server is not used: it takes signals, writes a log of
its own and wakes up ten times a second.

Limits: CONNECTIONS at the same time; further requests get 503. HEAD seconds for a request line and
its header, from the connection or the end of the last response on, and HEAD_OCTETS of them. The
handshake of TLS has the same time. `guard` has the limits of a request; EXTRA seconds after its
time a connection is closed even if the client does not read. A client that reads too little of a
response for STALLED seconds is closed too, and so is one whose host does not acknowledge octets for
that time.
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

from gatepost.web.limits import seconds_of

# Live streams are at most half of them.
CONNECTIONS = 200
HEAD = 15.0
HEAD_OCTETS = 32 * 1024
EXTRA = 30.0
STALLED = 30.0
# How long requests may continue when the process stops, in seconds.
GRACE = 3.0


class _Protocol(H11Protocol):
    """One connection, which is closed if the client is too slow."""

    _end: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(transport)
        _limit_silence(transport.get_extra_info("socket"))
        self._end_after(HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        self._stop_waiting()
        self._stop_stall()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Close the connection soon unless the client reads."""
        super().pause_writing()
        self._stop_stall()
        self._stall = self.loop.call_later(STALLED, self.transport.abort)

    def resume_writing(self) -> None:
        """Keep the connection, as the client reads; one that is closing must end in time."""
        if not self.transport.is_closing():
            self._stop_stall()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Wait for the end of the response when a request has come."""
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._end_after(seconds_of(self.scope["path"]) + EXTRA)

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

    def _stop_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None


def _limit_silence(sock: socket.socket) -> None:
    """Limit how long octets may stay without an acknowledgement: the host of a client can vanish.

    Without it the system sends them again for a quarter of an hour.
    """
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STALLED * 1000))


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
