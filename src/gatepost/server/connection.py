"""One SMTP client on an asyncio transport: greeting, TLS, trust, deadlines, the close.

Theory of operation
-------------------
The pump (`gatepost.server.pump`) moves events and replies. This file is what SMTP adds: a delay
before the greeting, STARTTLS, XCLIENT, time-outs, and an orderly close.

TLS is another transport in place of the socket's (`gatepost.net.tls_transport`): from the start, or
after STARTTLS has been answered. Nothing is written before its handshake is done. The session
exists, and counts, from the start.

Security: after a refusal that closes the connection the server reads on, and drops what comes,
until the client has closed or LINGER seconds have passed. Otherwise the reset that unread bytes
cause could overtake the refusal.
"""

import asyncio
from typing import Final, cast

from gatepost.model.endpoint import Endpoint
from gatepost.model.reply import Reply
from gatepost.model.session import TlsFacts
from gatepost.net.tls import ListenerTls
from gatepost.net.tls_codec import TlsCodec
from gatepost.net.tls_transport import TlsTransport
from gatepost.server.client_identity import ClientIdentity, new_session, of_socket
from gatepost.server.connections import Activity, Connections
from gatepost.server.deadlines import LINGER, Deadlines
from gatepost.server.limits import Origin
from gatepost.server.listener import ListenerSettings
from gatepost.server.permissions import set_permissions
from gatepost.server.pump import Owner, Pump
from gatepost.session import replies as r
from gatepost.session.conversation import Conversation
from gatepost.session.engine import Engine
from gatepost.session.steps.offer import STARTTLS
from gatepost.wire.smtp.server import unrecorded
from gatepost.wire.smtp.syntax.extensions import EXTENSIONS

WITH_TLS: Final = EXTENSIONS | {STARTTLS}
_DEFAULT = ListenerSettings()
# Until the transport is there.
_NO_PEER: Final = Endpoint("")


class Connection(Owner):
    """A client, from accept to close: an `asyncio.Protocol`.

    It does not derive from that class, because the compiled build is faster without it.

    `identity` is given if a host in front may have named the client, or may name it with XCLIENT.
    `talk` is the state of the session.
    """

    __slots__ = (
        "_admitted",
        "_connections",
        "_deadlines",
        "_engine",
        "_identity",
        "_lingering",
        "_listener",
        "_received",
        "_secured",
        "_sent",
        "_wire",
        "origin",
        "peer",
        "pump",
        "talk",
    )

    _engine: Engine
    pump: Pump
    talk: Conversation

    def __init__(
        self,
        connections: Connections,
        listener: ListenerSettings = _DEFAULT,
        identity: ClientIdentity | None = None,
    ) -> None:
        self._connections = connections
        self._listener = listener
        self._identity = identity
        self._secured: TlsTransport | None = None
        extensions = EXTENSIONS if listener.tls is None else WITH_TLS
        wire = listener.dialect.wire
        assert wire is not None
        self._wire = wire(connections.wire_limits, connections.paths, extensions)
        self._deadlines = Deadlines(connections.setup.limits, connections.now)
        self._admitted = False
        self._lingering = False
        self._received = self._sent = 0
        self.peer = _NO_PEER
        self.origin: Origin | None = None

    # Called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client, unless there are too many."""
        shared, listener = self._connections, self._listener
        identity = self._identity or of_socket(transport, listener.local)
        started = shared.setup.clock.time()
        session = new_session(
            shared.next_id(),
            identity,
            started,
            listener.dialect.name,
            listener.name,
            received=self._wire,
        )
        self.peer = session.peer
        self._engine = Engine(shared.setup, session, listener.dialect)
        self.talk = self._engine.talk
        self.pump = Pump(self._wire, self._engine, self, shared.turns, shared.setup.clock)
        # uvloop's transports have the interface of asyncio.Transport, but do not derive from it
        self.pump.transport = cast("asyncio.Transport", transport)
        set_permissions(self, self._wire, listener, identity, shared)
        refusal = shared.admit(self)
        if refusal is not None:
            self._turn_away(refusal)
            return
        self._admitted = True
        shared.setup.recorder.connection_opened(session)
        if listener.tls is not None and listener.tls.mode == "implicit":
            self._begin_tls(listener.tls)
            return
        self.talk.offers_tls = listener.tls is not None
        self._greet()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        if not self._lingering:
            self._received += len(data)
            self.pump.receive(data)

    def eof_received(self) -> bool:
        """Note that the client sends no more; what it has sent is still answered."""
        return self.pump.eof()

    def pause_writing(self) -> None:
        """Stop: the client does not read its replies."""
        self.pump.writable = False

    def resume_writing(self) -> None:
        """Go on where `pause_writing` stopped."""
        self.pump.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the cause is no matter
        """Clean up; a message that a target already has is not taken back."""
        self.pump.lose(cancel=not self.talk.delivering)

    # The greeting

    def _greet(self) -> None:
        """Greet the client, at once or after the greeting delay."""
        delay = self._connections.greeting_delay
        if delay:
            self.pump.rest(delay, self._greet_late)
        else:
            self.pump.run()

    def _greet_late(self) -> None:
        if self._wire.unread:
            session = self.talk.session
            reply = r.EARLY_TALKER.with_reference(session.id)
            self.talk.recorder.early_talker(session, reply)
            self._dismiss(reply)
        else:
            self.pump.resume_writing()

    def _turn_away(self, refusal: Reply) -> None:
        """Refuse the connection, in the clear only; a lingering one would keep another out."""
        self._end()
        tls = self._listener.tls
        if tls is None or tls.mode != "implicit":
            self.pump.transport.write(refusal.encoded)
        self.pump.transport.close()

    # TLS

    def wire_paused(self) -> None:
        """Begin TLS if STARTTLS has been answered."""
        tls = self._listener.tls
        if self._wire.switching and tls is not None and not self._lingering:
            self._begin_tls(tls)

    def _begin_tls(self, tls: ListenerTls) -> None:
        """Hand the socket over to TLS; `secured` goes on."""
        self._deadlines.since = self._connections.now
        codec = TlsCodec(tls.context())
        turns = self._connections.turns
        self._secured = TlsTransport(codec, self.pump.transport, self, turns)
        self.pump.transport = self._secured

    def secured(self, facts: TlsFacts) -> None:
        """Begin the session, or begin it again: the handshake is done."""
        self._deadlines.since = self._connections.now
        self._wire.start_tls()
        self._engine.start_tls(facts)
        self.pump.run()

    def tls_failed(self, problem: str) -> None:
        """Record a failed handshake or record; the transport closes the connection."""
        self.talk.recorder.tls_failed(self.talk.session, problem)

    # Replies and the close

    def send(self, data: bytes) -> None:
        """Write replies; close if the last one closes the connection."""
        self._deadlines.since = self._connections.now
        self._sent += len(data)
        self.pump.transport.write(data)
        if self._wire.closed and not self._lingering:
            self._close()
        elif self._connections.draining and self.idle:
            self.shut_down()

    def shut_down(self) -> None:
        """Send a last reply, because the server stops, and close."""
        self.end("shutdown", r.SHUTTING_DOWN)

    def end(self, limit: str, reply: Reply) -> None:
        """Send a last reply, recorded as `limit`, and close; a command that waits is cancelled."""
        talk, pump = self.talk, self.pump
        if self.handshaking:
            self.abort()
        elif not self._lingering:
            reply = reply.with_reference(talk.reference)
            talk.recorder.limit_reached(talk.session, talk.tx, limit, reply)
            self._dismiss(reply)
            if pump.waiting:  # the loss of the connection cancels it
                pump.transport.close()

    def _dismiss(self, reply: Reply | None) -> None:
        """Send a last reply, unasked, and close; without a reply, close at once."""
        if reply is None:
            self.abort()
            return
        self.pump.transport.write(reply.encoded)
        self._close()

    def _end(self) -> None:
        self._lingering = self.pump.ended = True
        self._deadlines.since = self._connections.now

    def _close(self) -> None:
        self._end()
        transport = self.pump.transport
        if self._wire.last_words is r.CLOSING or not transport.can_write_eof():
            transport.close()
            return
        try:
            transport.write_eof()
        except OSError:  # the client is gone, and the event loop has not reported it yet
            transport.abort()
            return
        transport.resume_reading()

    def drained(self) -> None:
        """Close: the client has sent its last octet and everything is answered."""
        self.pump.transport.close()

    def abort(self) -> None:
        """Close at once."""
        self.pump.transport.abort()

    def finish(self) -> None:
        """Clean up after the connection."""
        shared, talk = self._connections, self.talk
        shared.release(self)
        self.pump.release()
        self._wire.refuse = unrecorded
        end = self._engine.disconnected()
        if end is not None:
            shared.run_to_end(end)
        if not self._admitted:
            return
        after_quit = self._wire.last_words is r.CLOSING
        talk.recorder.connection_closed(
            talk.session, self._received, self._sent, after_quit=after_quit
        )

    # Called by `Connections`

    @property
    def idle(self) -> bool:
        """Return whether no transaction is open and no command is being handled."""
        return not self.pump.waiting and self.talk.tx is None

    @property
    def receiving(self) -> bool:
        """Return whether content is arriving and no command is being handled."""
        return self._wire.receiving and not self.pump.waiting

    @property
    def handshaking(self) -> bool:
        """Return whether a TLS handshake is in progress: nothing can be sent."""
        return self._secured is not None and self._secured.handshaking

    @property
    def activity(self) -> Activity:
        """Return what the connection does."""
        state = "content" if self._wire.receiving else ""
        if self._lingering:
            state = "closing"
        elif self.handshaking:
            state = "tls"
        return Activity(state, self._deadlines.since, self._received, self._sent)

    def sweep(self, now: float) -> None:
        """Record trap hits, and close if a deadline has passed; called about once a second."""
        if self.talk.unrecorded:
            self.talk.record_traps()
        if self.pump.busy:
            return
        if self._lingering:
            if now - self._deadlines.since > LINGER:
                self.abort()
            return
        if self.handshaking:
            limit = self._deadlines.for_handshake(now)
        elif self._wire.receiving and self.pump.writable:
            limit = self._deadlines.for_content(now, self.talk.tx, self._received)
        else:
            limit = self._deadlines.for_command(now)
        if limit:
            talk = self.talk
            reply = None if self.handshaking else _TIMEOUTS[limit].with_reference(talk.reference)
            talk.recorder.timed_out(talk.session, talk.tx, limit, reply)
            self._dismiss(reply)


# The last reply by the limit that has passed. In a handshake no reply can be sent.
_TIMEOUTS = {
    "session_timeout": r.SESSION_TOO_LONG,
    "data_timeout": r.TIMED_OUT,
    "command_timeout": r.TIMED_OUT,
}
