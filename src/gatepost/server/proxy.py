"""A connection before its client is known: on listeners that trust a host in front.

Theory of operation
-------------------
A listener with `proxy_from` or `xclient_from` starts each connection here. A trusted proxy has
`limits.proxy_timeout` to send its PROXY header; any other client goes on at once. Then the
transport is passed to a `Connection`, which counts and greets the client by its real address, and
takes the bytes after the header. So no rule and no plugin is applied to the proxy's address in
place of the client's, and later bytes do not pass through here.

Security: a header is read from `proxy_from` only, and required there. A missing, invalid or late
one closes the connection without a reply: the client is not known. A second header, or one from
elsewhere, is an invalid SMTP command.
Limits: a header's own (`gatepost.wire.proxy`). Connections that wait for one count as any other.
"""

import asyncio
from typing import cast

from gatepost.config.schema import ListenConfig
from gatepost.model.endpoint import Endpoint
from gatepost.model.proxy import ProxyHeader
from gatepost.net.networks import is_within
from gatepost.server.client_identity import ClientIdentity, endpoint
from gatepost.server.connection import Connection
from gatepost.server.connections import Connections
from gatepost.server.listener import ListenerSettings
from gatepost.wire.proxy import ProxyError, parse_proxy_header


class ProxyHandshake(asyncio.Protocol):
    """A connection of a listener that trusts a host in front."""

    __slots__ = ("_came", "_connections", "_data", "_listen", "_listener", "_peer", "_transport")

    _transport: asyncio.Transport
    _peer: Endpoint

    def __init__(
        self,
        connections: Connections,
        listen: ListenConfig,
        listener: ListenerSettings,
    ) -> None:
        self._connections = connections
        self._listen = listen
        self._listener = listener
        self._data = b""
        self._came = connections.now

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
            return
        refusal = self._connections.expect(self, self._peer)
        if refusal is not None:
            self._transport.write(refusal.encoded)
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
            self._connections.pending.discard(self)
            self._hand_over(header, self._data[length:])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the cause is no matter
        """Remove it: a health check, most of the time."""
        self._connections.pending.discard(self)

    def sweep(self, now: float) -> None:
        """Close if the header is late; called about once a second."""
        if now - self._came > self._connections.setup.limits.proxy_timeout:
            self._refuse(f"expected one in time, found {self._data!r}")

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _refuse(self, problem: str) -> None:
        shared = self._connections
        shared.setup.recorder.proxy_refused(shared.next_id(), self._peer, problem)
        self._connections.pending.discard(self)
        self._transport.abort()

    def _hand_over(self, header: ProxyHeader | None, rest: bytes) -> None:
        """Start the connection, by the client's own address."""
        connection = Connection(self._connections, self._listener, self._identity(header))
        transport = self._transport
        transport.set_protocol(cast("asyncio.Protocol", connection))
        connection.connection_made(transport)
        if rest:  # these are TLS's if it begins with the connection
            cast("asyncio.Protocol", transport.get_protocol()).data_received(rest)

    def _identity(self, header: ProxyHeader | None) -> ClientIdentity:
        local = self._listener.local or endpoint(self._transport.get_extra_info("sockname"))
        trusted = self._listen.xclient_from
        if header is None:
            return ClientIdentity(self._peer, local, trusted)
        source, destination = header.source or self._peer, header.destination or local
        return ClientIdentity(source, destination, trusted, self._peer, header)
