"""One client on an asyncio transport: bytes to the wire, events to the engine, replies back.

Theory of operation
-------------------
`_pump` takes events from the wire as long as there are any and runs the engine's coroutine for
each in place; all replies leave in one write. If a coroutine has to wait it goes on in a task, and
the pump rests until it is done: what the client sends meanwhile is buffered up to MAX_UNREAD, then
reading stops. A client that does not read its replies stops the pump as well, and one that has sent
many commands at once waits for its turn after every BATCH of them.

TLS is another transport in the place of the socket's (`gatepost.net.tls_transport`): it comes there
with the connection, or when STARTTLS has been answered. Until its handshake is done nothing is
written, and the session – with the client's greeting still to come – already counts.

There is no timer here: `since` says when the client was last answered, and the worker looks over
all connections once a second. What a client sends is no reason to wait longer for a command: a line
that never ends comes to the same as silence. Content has a pace to keep (`gatepost.server.pace`).

Security: when the server closes after a refusal it goes on reading – and drops what comes – until
the client has closed too, or LINGER seconds; otherwise the reset that unread bytes cause could
overtake the refusal.
"""

import asyncio
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import structlog

from gatepost.auth.authority import Authority
from gatepost.config.schema import LimitsConfig
from gatepost.model.message import Message
from gatepost.model.reply import Reply
from gatepost.model.session import Endpoint, Session, TlsFacts
from gatepost.net.tls import ListenerTls
from gatepost.net.tls_pump import TlsPump
from gatepost.net.tls_transport import TlsTransport
from gatepost.plugin.inline import UNFINISHED, finish, first_step
from gatepost.server.client_identity import ClientIdentity
from gatepost.server.limits import Origin
from gatepost.server.networks import is_within
from gatepost.server.pace import Pace
from gatepost.session import replies as r
from gatepost.session.authentication import Authentication
from gatepost.session.engine import Engine
from gatepost.session.setup import STARTTLS
from gatepost.wire.events import Event
from gatepost.wire.lmtp import LmtpServer
from gatepost.wire.smtp import SmtpServer
from gatepost.wire.smtp.commands import JUNK
from gatepost.wire.smtp.server import EXTENSIONS, PAUSED, Signal

if TYPE_CHECKING:
    from gatepost.server.connections import Connections

# A full pipelined transaction is a few KB; a sender need not be read further ahead than this.
MAX_UNREAD = 256 * 1024
# Events answered before others get their turn: one read may hold thousands of pipelined commands.
BATCH = 100
# What a client needs to read a refusal and close, in seconds.
LINGER = 5.0
WITH_TLS = EXTENSIONS | {STARTTLS}
_AUTH = frozenset({"AUTH"})
_XCLIENT = frozenset({"XCLIENT"})

# What is spoken to a client, by the protocol of its listener.
WIRES: dict[str, type[SmtpServer]] = {"smtp": SmtpServer, "lmtp": LmtpServer}

_log = structlog.get_logger("gatepost.server")


class Connection(asyncio.Protocol):
    """A client, from accept to close.

    `local` is the address it came in at, None where the listener has several and it must be asked;
    `protocol` is one of WIRES, `tls` what it needs for TLS, None where it has none. Where the
    socket alone does not tell who the client is, `caller` does. With `authority` the client may say
    who it is.
    """

    __slots__ = (
        "_authority",
        "_came",
        "_engine",
        "_eof",
        "_identity",
        "_lingering",
        "_local",
        "_lost",
        "_may_write",
        "_pace",
        "_protocol",
        "_received",
        "_secured",
        "_task",
        "_tls",
        "_transport",
        "_turn",
        "_wire",
        "_worker",
        "host",
        "origin",
        "since",
    )

    _transport: asyncio.Transport
    _engine: Engine

    def __init__(
        self,
        worker: "Connections",
        local: Endpoint | None = None,
        protocol: str = "smtp",
        tls: ListenerTls | None = None,
        identity: ClientIdentity | None = None,
        *,
        authority: Authority | None = None,
    ) -> None:
        self._worker = worker
        self._authority = authority
        self._local = local
        self._protocol = protocol
        self._identity = identity
        self._tls = tls
        self._secured: TlsTransport | None = None
        self._wire = WIRES[protocol](
            worker.wire_limits, worker.paths, EXTENSIONS if tls is None else WITH_TLS
        )
        self._task: asyncio.Task[Any] | None = None
        self._may_write = True
        self._lingering = False
        self._lost = False
        self._eof = False
        self._turn: asyncio.Handle | None = None
        self._received = 0
        self._pace: Pace | None = None
        self._came = self.since = worker.now
        self.host = ""
        self.origin: Origin | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client, unless there are too many."""
        worker = self._worker
        # uvloop's transports have the interface of asyncio.Transport, but do not derive from it
        self._transport = cast("asyncio.Transport", transport)
        identity = self._identity
        if identity is None:
            peer = endpoint(transport.get_extra_info("peername"))
            local = self._local or endpoint(transport.get_extra_info("sockname"))
            session = Session(
                worker.next_id(), peer, local, worker.setup.clock.time(), protocol=self._protocol
            )
            self._engine = Engine(worker.setup, session)
        else:
            session = self._called(identity)
        self.host = session.peer.host
        if self._authority is not None:
            self._take_users(self._authority)
        refusal = worker.admit(self)
        if refusal is not None:
            self._turn_away(refusal)
        elif self._tls is None:
            self._greet()
        elif self._tls.mode == "implicit":
            self._begin_tls(self._tls)
        else:
            self._engine.offers_tls = True
            self._greet()

    def _greet(self) -> None:
        """Greet the client, at once or when it has shown that it can wait."""
        delay = self._worker.greeting_delay
        if delay:
            self._rest(delay, self._greet_late)
        else:
            self._pump()

    def _greet_late(self) -> None:
        if self._wire.unread:
            _log.info("early talker", ref=self._engine.reference, peer=self.host)
            self.dismiss(r.SPOKE_FIRST)
        else:
            self._pump()
            self._end_after_eof()

    def _take_users(self, authority: Authority) -> None:
        """Let the client say who it is, where need be once there is TLS."""
        self._engine.auth = Authentication(authority, self._worker.attempts)
        if authority.clear:
            self._wire.extensions |= _AUTH
        else:
            self._wire.after_tls = _AUTH

    def _called(self, identity: ClientIdentity) -> Session:
        """Begin a session for whom somebody may have spoken, or who may speak for others."""
        worker = self._worker
        session = Session(
            worker.next_id(),
            identity.peer,
            identity.local,
            worker.setup.clock.time(),
            via=identity.via,
            proxy=identity.proxy,
            protocol=self._protocol,
        )
        self._engine = Engine(worker.setup, session)
        self._trust(trusted=identity.may_name)
        return session

    def _trust(self, *, trusted: bool) -> None:
        self._engine.gate = self if trusted else None
        wire = self._wire
        wire.extensions = wire.extensions | _XCLIENT if trusted else wire.extensions - _XCLIENT

    def readmit(self, session: Session, address: str | None) -> Reply | None:
        """See `gatepost.session.xclient.Gate`."""
        assert self._identity is not None
        if address is not None:
            self._trust(trusted=is_within(address, self._identity.xclient_from))
        return self._worker.readmit(self, session.peer.host)

    def _turn_away(self, refusal: Reply) -> None:
        """Refuse the whole connection: it must not take the place of another by lingering.

        Where TLS begins with the connection there are no words for that.
        """
        self._lingering = True
        if self._tls is None or self._tls.mode != "implicit":
            self._transport.write(refusal.encoded)
        self._transport.close()

    def _begin_tls(self, tls: ListenerTls) -> None:
        """Leave the socket to TLS; `secured` goes on."""
        self.since = self._worker.now
        self._secured = TlsTransport(TlsPump(tls.context()), self._transport, self)
        self._transport = self._secured

    def secured(self, facts: TlsFacts) -> None:
        """Begin the session, or begin it anew: the handshake is done."""
        self.since = self._worker.now
        self._wire.start_tls()
        self._engine.start_tls(facts)
        self._pump()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self._lingering:
            return
        self._received += len(data)
        wire = self._wire
        wire.receive_data(data)
        if self._task is None and self._turn is None and self._may_write:
            self._pump()
        elif wire.unread > MAX_UNREAD:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Note that the client sends no more; what it has sent is still answered."""
        self._eof = True
        return self._task is not None or self._turn is not None

    def pause_writing(self) -> None:
        """Stop: the client does not read its replies."""
        self._may_write = False

    def resume_writing(self) -> None:
        """Go on where `pause_writing` stopped."""
        self._may_write = True
        if not (self._task or self._turn or self._lost or self._lingering):
            self._transport.resume_reading()
            self._pump()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whatever the cause
        """Clean up; a message that a target already has is not taken back."""
        self._lost = True
        if self._task is None:
            self._finish()
        elif not self._engine.delivering:
            self._task.cancel()

    def _pump(self) -> None:
        """Answer whatever the client has sent, in one write."""
        wire, engine = self._wire, self._engine
        out = []
        for _ in range(BATCH):
            event = wire.next_event()
            if isinstance(event, Signal):
                break
            reply = self._handle(event)
            if self._task is not None:
                break
            if reply is not None:
                if reply.code >= 400 or type(event) in JUNK:
                    reply = engine.settle(event, reply)
                    if reply.code >= 400 and engine.erring:
                        self._answer_late(reply)
                        break
                out.append(wire.send(reply))
        else:
            self._yield()
        if out:
            self.since = self._worker.now
        self._write(b"".join(out))
        if event is PAUSED and wire.switching and self._tls and not self._lingering:
            self._begin_tls(self._tls)

    def _yield(self) -> None:
        """Let others have their turn before the rest of what the client has sent."""
        self._transport.pause_reading()
        self._turn = self._worker.loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn = None
        if self._may_write and not (self._lost or self._lingering):
            self._transport.resume_reading()
            self._pump()
            self._end_after_eof()

    def _end_after_eof(self) -> None:
        """Close once everything that came before the client's end of file is answered."""
        if self._eof and self._task is None and self._turn is None:
            self._transport.close()

    def _handle(self, event: Event) -> Reply | None:
        """Have an event dealt with in place; if it has to wait, `_task` goes on with it."""
        try:
            result = self._engine.handle(event)
            if result is None or isinstance(result, Reply):
                return result
            reply = first_step(result)
        except (Exception, asyncio.CancelledError):  # noqa: BLE001 - one session's, not another's
            return self._failed(event)
        if reply is not UNFINISHED:
            return cast("Reply | None", reply)
        self._task = self._worker.loop.create_task(finish(result))
        self._task.add_done_callback(functools.partial(self._resume, event))
        return None

    def _resume(self, event: Event, task: asyncio.Task[Reply | None]) -> None:
        """Answer what had to wait, and pump again; not in the task, for the pump must not be."""
        self._task = None
        try:
            reply = task.result()
        except asyncio.CancelledError:
            reply = None if self._lost else self._failed(event)
        except Exception:  # noqa: BLE001 - logged there
            reply = self._failed(event)
        if self._lost:
            self._finish()
            return
        if reply is not None:
            reply = self._engine.settle(event, reply)
            if reply.code >= 400 and self._engine.erring:
                self._answer_late(reply)
                return
        self._go_on(reply)

    def _go_on(self, reply: Reply | None) -> None:
        """Answer, and take up what came meanwhile."""
        self.since = self._worker.now
        if reply is not None:
            self._write(self._wire.send(reply))
        self._transport.resume_reading()
        if not self._lingering:
            self._pump()
        self._end_after_eof()

    def _answer_late(self, reply: Reply) -> None:
        """Have a client that errs again and again wait for each further answer."""
        self._rest(self._worker.setup.limits.error_delay, functools.partial(self._go_on, reply))

    def _rest(self, seconds: float, then: Callable[[], None]) -> None:
        """Go on with `then` later; a task, but only for those it is meant to cost something."""
        self._task = self._worker.loop.create_task(self._worker.setup.clock.sleep(seconds))
        self._task.add_done_callback(functools.partial(self._rested, then))

    def _rested(self, then: Callable[[], None], _task: "asyncio.Task[None]") -> None:
        self._task = None
        if self._lost:
            self._finish()
        elif not self._lingering:
            then()

    def _failed(self, event: Event) -> Reply | None:
        _log.exception("session failed", ref=self._engine.reference)
        return self._engine.fail(event)

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if data:
            transport.write(data)
        if self._wire.closed and not self._lingering:
            self._close()
        elif self._worker.draining and self.idle:
            self.dismiss(r.SHUTTING_DOWN)

    def _close(self) -> None:
        self._lingering = True
        self.since = self._worker.now
        if self._wire.last_words is r.CLOSING or not self._transport.can_write_eof():
            self._transport.close()
        else:
            try:
                self._transport.write_eof()
            except OSError:  # the client is gone already, we have only not been told yet
                self._transport.abort()
                return
            self._transport.resume_reading()

    @property
    def trusted(self) -> bool:
        """Whether it is a host in front, which brings many clients and says who each is."""
        return self._engine.gate is not None

    @property
    def message(self) -> Message | None:
        """The message that is coming in, if there is one."""
        tx = self._engine.tx
        return None if tx is None else tx.message

    @property
    def idle(self) -> bool:
        """Whether no transaction is open and nothing is being waited for."""
        return self._task is None and self._engine.tx is None

    @property
    def _handshaking(self) -> bool:
        """Whether nothing can be said: not in the clear any more, and not under TLS yet."""
        return self._secured is not None and self._secured.handshaking

    def dismiss(self, reply: Reply) -> None:
        """Say one last thing, unasked, and close."""
        if self._handshaking:
            self.abort()
        elif not self._lingering:
            self._transport.write(reply.encoded)
            self._close()

    def sweep(self, now: float) -> None:
        """Close if the client takes too long; called about once a second."""
        if self._task is not None or self._turn is not None:
            return
        limits = self._worker.setup.limits
        waited = now - self.since
        if self._lingering:
            if waited > LINGER:
                self._transport.abort()
        elif self._handshaking:
            if waited > limits.handshake_timeout:
                self.abort()
        elif now - self._came > limits.session_timeout:
            self.dismiss(r.SESSION_TOO_LONG)
        elif self._wire.receiving and self._may_write:
            if self._overdrawn(now, limits):
                self.dismiss(r.TIMED_OUT)
        elif waited > limits.command_timeout:
            self.dismiss(r.TIMED_OUT)

    def _overdrawn(self, now: float, limits: LimitsConfig) -> bool:
        """Whether the message that is coming has taken too long."""
        tx, pace = self._engine.tx, self._pace
        if pace is None or pace.tx is not tx:
            allowance, rate = limits.data_timeout, limits.min_data_rate
            pace = self._pace = Pace(tx, allowance, rate, self.since, self._received)
        return pace.overdrawn(now, self._received)

    async def settled(self) -> bool:
        """Wait for whatever a command waits for; return whether there was anything."""
        task, turn = self._task, self._turn
        if task is not None:
            await asyncio.wait({task})
        elif turn is not None:
            await asyncio.sleep(0)
        return task is not None or turn is not None

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _finish(self) -> None:
        self._worker.forget(self)
        end = self._engine.disconnected()
        if end is not None and first_step(end) is UNFINISHED:
            self._worker.spawn(finish(end))


def endpoint(name: Any) -> Endpoint:
    """Return a socket's name as an endpoint; IPv4 that arrived on an IPv6 socket is IPv4."""
    if isinstance(name, tuple):
        return Endpoint(name[0].removeprefix("::ffff:") if "." in name[0] else name[0], name[1])
    return Endpoint(name or "local")
