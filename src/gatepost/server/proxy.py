"""A connection before it is known whose: on listeners that trust somebody to speak for others.

Theory of operation
-------------------
A listener with `proxy_from` or `xclient_from` starts each connection here. A trusted proxy has
`limits.proxy_timeout` to send its PROXY header; any other client goes on at once. Then the
transport is handed to a `Connection`, which greets the client and counts it by its real address;
what came behind the header is the client's, and given to it. So nothing is decided, and no plugin
is asked, about the proxy's address in place of the client's, and nothing of this is on the way of
bytes that come later.

Security: a header is read from `proxy_from` only, and required there. One that is missing, wrong
or late closes the connection without a word: whoever could be told is not known. A second header,
or one from elsewhere, is a wrong SMTP command.
Limits: a header's own (`gatepost.wire.proxy`); connections that wait for one count as any other.
"""

import asyncio
from typing import TYPE_CHECKING, cast

import structlog

from gatepost.config.schema import ListenConfig
from gatepost.model.proxy import ProxyHeader
from gatepost.model.session import Endpoint
from gatepost.net.tls import ListenerTls
from gatepost.server.client_identity import ClientIdentity
from gatepost.server.connection import Connection, endpoint
from gatepost.server.networks import is_within
from gatepost.session import replies as r
from gatepost.wire.proxy import ProxyError, parse_proxy_header

if TYPE_CHECKING:
    from gatepost.server.connections import Connections

_log = structlog.get_logger("gatepost.server")


class ProxyHandshake(asyncio.Protocol):
    """A connection of a listener that trusts somebody; `local` as for `Connection`."""

    __slots__ = ("_came", "_data", "_listen", "_local", "_peer", "_tls", "_transport", "_worker")

    _transport: asyncio.Transport
    _peer: Endpoint

    def __init__(
        self,
        worker: "Connections",
        listen: ListenConfig,
        local: Endpoint | None = None,
        tls: ListenerTls | None = None,
    ) -> None:
        self._worker = worker
        self._tls = tls
        self._listen = listen
        self._local = local
        self._data = b""
        self._came = worker.now

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a header if there has to be one."""
        self._transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername")
        if name is None:  # a health check that is gone already; a Unix socket's name is ""
            self._transport.abort()
            return
        self._peer = endpoint(name)
        if not is_within(self._peer.host, self._listen.proxy_from):
            self._hand_over(None, b"")
        elif not self._worker.expect(self):
            self._transport.write(r.TOO_MANY_CONNECTIONS.encoded)
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Take a piece of the header, and go on when it is complete."""
        if self._transport.is_closing():
            return
        self._data += data
        try:
            found = parse_proxy_header(self._data)
        except ProxyError as error:
            self._refuse(str(error))
            return
        if found is not None:
            header, length = found
            self._worker.expected.discard(self)
            self._hand_over(header, self._data[length:])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whatever the cause
        """Forget it: a health check, most of the time."""
        self._worker.expected.discard(self)

    def sweep(self, now: float) -> None:
        """Close if the header is late; called about once a second."""
        if now - self._came > self._worker.setup.limits.proxy_timeout:
            self._refuse(f"expected one in time, found {self._data!r}")

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _refuse(self, problem: str) -> None:
        _log.warning("no PROXY header", peer=str(self._peer), problem=problem)
        self._worker.expected.discard(self)
        self._transport.abort()

    def _hand_over(self, header: ProxyHeader | None, rest: bytes) -> None:
        """Let the client in, by its own address."""
        connection = Connection(
            self._worker,
            protocol=self._listen.protocol,
            tls=self._tls,
            identity=self._identity(header),
            authority=self._worker.setup.authority if self._listen.auth else None,
        )
        transport = self._transport
        transport.set_protocol(connection)
        connection.connection_made(transport)
        if rest:  # it is the handshake's where TLS begins with the connection
            cast("asyncio.Protocol", transport.get_protocol()).data_received(rest)

    def _identity(self, header: ProxyHeader | None) -> ClientIdentity:
        local = self._local or endpoint(self._transport.get_extra_info("sockname"))
        trusted = self._listen.xclient_from
        if header is None:
            return ClientIdentity(self._peer, local, trusted)
        source, destination = header.source or self._peer, header.destination or local
        return ClientIdentity(source, destination, trusted, self._peer, header)
