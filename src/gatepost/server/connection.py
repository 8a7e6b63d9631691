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
from typing import cast

from gatepost.auth.authority import Authority
from gatepost.model.message import Message
from gatepost.model.reply import Reply
from gatepost.model.session import Endpoint, Session, TlsFacts
from gatepost.net.tls import ListenerTls
from gatepost.net.tls_codec import TlsCodec
from gatepost.net.tls_transport import TlsTransport
from gatepost.server.client_identity import ClientIdentity, endpoint
from gatepost.server.connections import Connections
from gatepost.server.deadlines import LINGER, Deadlines
from gatepost.server.limits import Origin
from gatepost.server.networks import is_within
from gatepost.server.pump import Pump
from gatepost.session import replies as r
from gatepost.session.authentication import Authentication
from gatepost.session.dialect import DIALECTS
from gatepost.session.engine import Engine
from gatepost.session.offer import STARTTLS
from gatepost.wire.smtp.server import EXTENSIONS

WITH_TLS = EXTENSIONS | {STARTTLS}
_AUTH = frozenset({"AUTH"})
_XCLIENT = frozenset({"XCLIENT"})


class Connection(asyncio.Protocol):
    """A client, from accept to close.

    `local` is the address it connected to, None if the socket must be asked; `protocol` names a
    dialect, `tls` is what the listener needs for TLS, if it has it. `identity` is the client's if a
    host in front may have named it. With `authority` the client may log in.
    """

    __slots__ = (
        "_authority",
        "_connections",
        "_deadlines",
        "_dialect",
        "_engine",
        "_identity",
        "_lingering",
        "_local",
        "_pump",
        "_received",
        "_secured",
        "_tls",
        "_wire",
        "host",
        "origin",
    )

    _engine: Engine
    _pump: Pump

    def __init__(
        self,
        connections: Connections,
        local: Endpoint | None = None,
        protocol: str = "smtp",
        tls: ListenerTls | None = None,
        identity: ClientIdentity | None = None,
        *,
        authority: Authority | None = None,
    ) -> None:
        self._connections = connections
        self._authority = authority
        self._local = local
        self._dialect = DIALECTS[protocol]
        self._identity = identity
        self._tls = tls
        self._secured: TlsTransport | None = None
        self._wire = self._dialect.wire(
            connections.wire_limits, connections.paths, EXTENSIONS if tls is None else WITH_TLS
        )
        self._deadlines = Deadlines(connections.setup.limits, connections.now)
        self._lingering = False
        self._received = 0
        self.host = ""
        self.origin: Origin | None = None

    # Called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client, unless there are too many."""
        shared = self._connections
        session = self._session(transport)
        self.host = session.peer.host
        self._engine = Engine(shared.setup, session, self._dialect)
        self._pump = Pump(self._wire, self._engine, self, shared.turns, shared.setup.clock)
        # uvloop's transports have the interface of asyncio.Transport, but do not derive from it
        self._pump.transport = cast("asyncio.Transport", transport)
        if self._identity is not None:
            self._trust(trusted=self._identity.may_name)
        if self._authority is not None:
            self._accept_logins(self._authority)
        refusal = shared.admit(self)
        if refusal is not None:
            self._turn_away(refusal)
            return
        shared.setup.recorder.connection_opened(session)
        if self._tls is None:
            self._greet()
        elif self._tls.mode == "implicit":
            self._begin_tls(self._tls)
        else:
            self._engine.talk.offers_tls = True
            self._greet()

    def _session(self, transport: asyncio.BaseTransport) -> Session:
        shared, identity = self._connections, self._identity
        reference, now = shared.next_id(), shared.setup.clock.time()
        if identity is None:
            peer = endpoint(transport.get_extra_info("peername"))
            local = self._local or endpoint(transport.get_extra_info("sockname"))
            return Session(reference, peer, local, now, protocol=self._dialect.name)
        return Session(
            reference,
            identity.peer,
            identity.local,
            now,
            via=identity.via,
            proxy=identity.proxy,
            protocol=self._dialect.name,
        )

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        if not self._lingering:
            self._received += len(data)
            self._pump.receive(data)

    def eof_received(self) -> bool:
        """Note that the client sends no more; what it has sent is still answered."""
        return self._pump.eof()

    def pause_writing(self) -> None:
        """Stop: the client does not read its replies."""
        self._pump.writable = False

    def resume_writing(self) -> None:
        """Go on where `pause_writing` stopped."""
        self._pump.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the cause is no matter
        """Clean up; a message that a target already has is not taken back."""
        self._pump.lose(cancel=not self._engine.talk.delivering)

    # The greeting

    def _greet(self) -> None:
        """Greet the client, at once or after the greeting delay."""
        delay = self._connections.greeting_delay
        if delay:
            self._pump.rest(delay, self._greet_late)
        else:
            self._pump.run()

    def _greet_late(self) -> None:
        if self._wire.unread:
            session = self._engine.talk.session
            self._engine.talk.recorder.early_talker(session, r.EARLY_TALKER)
            self.dismiss(r.EARLY_TALKER)
        else:
            self._pump.resume_writing()

    def _turn_away(self, refusal: Reply) -> None:
        """Refuse the connection; it does not linger, which would keep another client out.

        If TLS begins with the connection no reply can be sent.
        """
        self._end()
        if self._tls is None or self._tls.mode != "implicit":
            self._pump.transport.write(refusal.encoded)
        self._pump.transport.close()

    # What a client may do

    def _accept_logins(self, authority: Authority) -> None:
        """Let the client log in, after STARTTLS if it must be."""
        self._engine.talk.auth = Authentication(authority, self._connections.auth_limiter)
        if authority.clear:
            self._wire.extensions |= _AUTH
        else:
            self._wire.after_tls = _AUTH

    def _trust(self, *, trusted: bool) -> None:
        self._engine.talk.admission = self if trusted else None
        wire = self._wire
        wire.extensions = wire.extensions | _XCLIENT if trusted else wire.extensions - _XCLIENT

    def readmit(self, session: Session, address: str | None) -> Reply | None:
        """Count the connection as another client's, see `gatepost.session.conversation`."""
        assert self._identity is not None
        if address is not None:
            self._trust(trusted=is_within(address, self._identity.xclient_from))
        return self._connections.readmit(self, session.peer.host)

    # TLS

    def wire_paused(self) -> None:
        """Begin TLS if STARTTLS has been answered."""
        if self._wire.switching and self._tls is not None and not self._lingering:
            self._begin_tls(self._tls)

    def _begin_tls(self, tls: ListenerTls) -> None:
        """Hand the socket over to TLS; `secured` goes on."""
        self._deadlines.since = self._connections.now
        codec = TlsCodec(tls.context())
        turns = self._connections.turns
        self._secured = TlsTransport(codec, self._pump.transport, self, turns)
        self._pump.transport = self._secured

    def secured(self, facts: TlsFacts) -> None:
        """Begin the session, or begin it again: the handshake is done."""
        self._deadlines.since = self._connections.now
        self._wire.start_tls()
        self._engine.start_tls(facts)
        self._pump.run()

    def tls_failed(self, problem: str) -> None:
        """Record a failed handshake or record; the transport closes the connection."""
        self._engine.talk.recorder.tls_failed(self._engine.talk.session, problem)

    # Replies and the close

    def send(self, data: bytes) -> None:
        """Write replies; close if the last of them ends the session."""
        self._deadlines.since = self._connections.now
        self._pump.transport.write(data)
        if self._wire.closed and not self._lingering:
            self._close()
        elif self._connections.draining and self.idle:
            self.dismiss(r.SHUTTING_DOWN)

    def dismiss(self, reply: Reply) -> None:
        """Send a last reply, unasked, and close."""
        if self._handshaking:
            self.abort()
        elif not self._lingering:
            self._pump.transport.write(reply.encoded)
            self._close()

    def _end(self) -> None:
        self._lingering = self._pump.ended = True
        self._deadlines.since = self._connections.now

    def _close(self) -> None:
        self._end()
        transport = self._pump.transport
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
        self._pump.transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._pump.transport.abort()

    def finish(self) -> None:
        """Clean up after the connection."""
        shared, talk = self._connections, self._engine.talk
        shared.release(self)
        talk.recorder.connection_closed(talk.session, self._received)
        end = self._engine.disconnected()
        if end is not None:
            shared.run_to_end(end)

    # Called by `Connections`

    @property
    def trusted(self) -> bool:
        """Return whether the client is a trusted host that names other clients."""
        return self._engine.talk.admission is not None

    @property
    def message(self) -> Message | None:
        """The message that is being received, if there is one."""
        tx = self._engine.talk.tx
        return None if tx is None else tx.message

    @property
    def idle(self) -> bool:
        """Return whether no transaction is open and no command is being handled."""
        return not self._pump.waiting and self._engine.talk.tx is None

    @property
    def _handshaking(self) -> bool:
        return self._secured is not None and self._secured.handshaking

    def sweep(self, now: float) -> None:
        """Close if a deadline has passed; called about once a second."""
        if self._pump.busy:
            return
        if self._lingering:
            if now - self._deadlines.since > LINGER:
                self.abort()
            return
        limit = self._passed(now)
        if limit:
            talk = self._engine.talk
            reply = _TIMEOUTS[limit]
            talk.recorder.timed_out(talk.session, talk.tx, limit, reply)
            self.dismiss(reply)

    def _passed(self, now: float) -> str:
        """Return the key of the limit that has passed, "" if none has."""
        if self._handshaking:
            return self._deadlines.for_handshake(now)
        if self._wire.receiving and self._pump.writable:
            return self._deadlines.for_content(now, self._engine.talk.tx, self._received)
        return self._deadlines.for_command(now)

    async def settled(self) -> bool:
        """Wait for the command that is being handled; return whether there was one."""
        return await self._pump.settle()


# The last reply by the limit that has passed; none is sent in a handshake.
_TIMEOUTS = {
    "handshake_timeout": r.TIMED_OUT,
    "session_timeout": r.SESSION_TOO_LONG,
    "data_timeout": r.TIMED_OUT,
    "command_timeout": r.TIMED_OUT,
}
