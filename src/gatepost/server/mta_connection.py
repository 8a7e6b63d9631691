"""One connection of a mail server that asks for decisions: admission, liveness, the close.

Theory of operation
-------------------
The pump (`gatepost.server.pump`) moves events and replies, as it does for a client of SMTP. There
is no greeting, no TLS and no delay: the mail server has these, and the limits of its clients. Its
connection is one of `limits.connections`, and may be silent as long as its client is: it ends after
`limits.session_timeout` without a packet.

While a decision takes long, the wire may send something that makes the mail server wait
(`MtaWire.progress`).

Security: the mail server is believed. Only the addresses of `listener.accept_from` may connect.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from gatepost.model.endpoint import Endpoint
from gatepost.model.reply import Reply
from gatepost.server.client_identity import ClientIdentity, of_socket
from gatepost.server.connections import Activity, Connections
from gatepost.server.limits import Origin
from gatepost.server.listener import ListenerSettings
from gatepost.server.pump import Owner, Pump
from gatepost.session.conversation import Conversation
from gatepost.session.mta_handler import MtaHandler, Traffic
from gatepost.wire.protocol import MtaWire

# Seconds between two signs of progress. Mail servers wait at least 10 seconds for a reply.
PROGRESS = 4.0
# Until the transport is there.
_NO_PEER = Endpoint("")

# Makes the wire and the handler of one connection.
Speak = Callable[
    [Connections, ListenerSettings, ClientIdentity, Traffic], tuple[MtaWire, MtaHandler]
]


class MtaConnection(Owner):
    """A mail server, from accept to close: an `asyncio.Protocol`."""

    __slots__ = (
        *("_admitted", "_connections", "_handler", "_listener", "_since", "_speak", "_traffic"),
        *("_wire", "origin", "peer", "pump"),
    )

    _handler: MtaHandler
    _wire: MtaWire
    pump: Pump

    def __init__(self, connections: Connections, listener: ListenerSettings, speak: Speak) -> None:
        self._connections = connections
        self._listener = listener
        self._speak = speak
        self._admitted = False
        self._since = connections.now
        self._traffic = Traffic()
        self.peer = _NO_PEER
        self.origin: Origin | None = None

    # Called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first packet, unless the host may not connect."""
        shared, listener = self._connections, self._listener
        identity = of_socket(transport, listener.local)
        self.peer = identity.peer
        self._wire, self._handler = self._speak(shared, listener, identity, self._traffic)
        self.pump = Pump(self._wire, self._handler, self, shared.turns, shared.setup.clock)
        self.pump.transport = cast("asyncio.Transport", transport)
        if shared.admit_mta(self, listener.accept_from) is None:
            self._admitted = True
            return
        self.pump.ended = True
        self.abort()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the mail server."""
        if self.pump.ended:  # it is being closed
            return
        self._since = self._connections.now
        self._traffic.received += len(data)
        self.pump.receive(data)

    def eof_received(self) -> bool:
        """Close: the mail server has gone, and its client gets no answer of this server."""
        return False

    def pause_writing(self) -> None:
        """Stop: the mail server does not read its replies."""
        self.pump.writable = False

    def resume_writing(self) -> None:
        """Go on where `pause_writing` stopped."""
        self.pump.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the cause is no matter
        """Clean up; a message that is being handed over is not taken back."""
        self.pump.lose(cancel=not self.talk.delivering)

    # Called by the pump

    def send(self, data: bytes) -> None:
        """Write replies; close if the wire has ended, or if the server stops."""
        self._since = self._connections.now
        if data:
            self._traffic.sent += len(data)
            self.pump.transport.write(data)
        if self._wire.closed or (self._connections.draining and self.idle):
            self.shut_down()

    def wire_paused(self) -> None:
        """Do nothing: the wire waits for replies only."""

    def drained(self) -> None:
        """Do nothing: the end of the input closes the connection."""

    def finish(self) -> None:
        """Clean up after the connection."""
        shared = self._connections
        shared.release(self)
        self.pump.release()
        end = self._handler.lost() if self._admitted else None
        if end is not None:
            shared.run_to_end(end)

    # Called by `Connections`

    @property
    def talk(self) -> Conversation:
        """Return the state of the session."""
        return self._handler.talk

    @property
    def idle(self) -> bool:
        """Return whether no transaction is open and no command is being handled."""
        return not (self.pump.waiting or self._handler.open)

    @property
    def receiving(self) -> bool:
        """Return whether content is arriving and no command is being handled."""
        return self.talk.message is not None and not self.pump.waiting

    @property
    def activity(self) -> Activity:
        """Return what the connection does."""
        traffic = self._traffic
        state = "content" if self.receiving else ""
        return Activity(state, self._since, traffic.received, traffic.sent)

    def sweep(self, now: float) -> None:
        """Report progress, or close after a long silence; called about once a second."""
        self._handler.sweep(now)
        silent = now - self._since
        if self.pump.waiting:
            if silent >= PROGRESS:
                self._report_progress(now)
        elif silent > self._connections.setup.limits.session_timeout:
            self.abort()

    def _report_progress(self, now: float) -> None:
        data = self._wire.progress()
        if data:
            self._since = now
            self._traffic.sent += len(data)
            self.pump.transport.write(data)

    def shut_down(self) -> None:
        """Close: the mail server decides what its client gets without this server."""
        self.pump.ended = True
        self.pump.transport.close()

    def end(self, limit: str, reply: Reply) -> None:
        """Close, recorded as `limit`: the mail server does not expect a reply of its own."""
        talk = self.talk
        reply = reply.with_reference(talk.reference)
        talk.recorder.limit_reached(talk.session, talk.tx, limit, reply)
        self.shut_down()

    def abort(self) -> None:
        """Close at once."""
        self.pump.transport.abort()
