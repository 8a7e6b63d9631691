"""The sessions of one milter connection: events of the mail server in, replies out.

Theory of operation
-------------------
A session begins when a client has connected to the mail server, and ends with it; then the
connection may bring another client. Each session has an `Engine` with the steps of SMTP. This file
is what differs: facts come from macros, there is no limit of errors, and the mail server decides
what follows a refusal.

- After a refusal at DATA the mail server may leave its transaction open, and name more recipients.
  Everything gets the same refusal until the transaction ends. So a trap refuses the message however
  often the client tries.
- A refusal that is certain before the end of the message, such as that of its header block, is sent
  at once.
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from gatepost.model.facts import set_fact
from gatepost.model.reply import Reply
from gatepost.model.session import AuthFacts, Session, TlsFacts
from gatepost.session import replies as r
from gatepost.session.conversation import Conversation, Result
from gatepost.session.dialect import MILTER
from gatepost.session.engine import Engine
from gatepost.session.mta_handler import MtaHandler, Traffic
from gatepost.session.setup import Setup
from gatepost.session.steps.greeting import named
from gatepost.session.steps.intake import refuse_early, take
from gatepost.wire import events as e
from gatepost.wire.milter.events import Client, Negotiate, Piece, Reported, SessionEnd
from gatepost.wire.milter.terms import Needs

Handled = Reply | Coroutine[Any, Any, Reply | None] | None

# The hooks and notifications that need the body of a message.
_OF_THE_BODY: Final = ("headers", "message", "deliver")


def needs(setup: Setup) -> Needs:
    """Return what plugins need of a mail server."""
    chains, notified = setup.plugins.busy, setup.plugins.notifications["delivered"]
    return Needs(
        body=bool(notified.followers) or any(hook in chains for hook in _OF_THE_BODY),
        unknown="unknown_command" in chains,
        answers_connect="connect" in chains,
        answers_helo="helo" in chains,
    )


class MilterHandler(MtaHandler):
    """Answers the events of one connection.

    `begin` makes the session of a client. `session` stands for the mail server before the first
    one. `run_to_end` runs a coroutine that no reply waits for.
    """

    __slots__ = (
        *("_base", "_begin", "_engine", "_is_open", "_refusal", "_run_to_end", "_setup"),
        "_traffic",
    )

    def __init__(
        self,
        setup: Setup,
        session: Session,
        begin: Callable[[Client], Session],
        run_to_end: Callable[[Coroutine[Any, Any, None]], None],
        traffic: Traffic,
    ) -> None:
        self._setup = setup
        self._begin = begin
        self._run_to_end = run_to_end
        self._traffic = traffic
        self._engine = Engine(setup, session, MILTER)
        self._is_open = False
        self._refusal: Reply | None = None
        self._base: Mapping[str, str] = {}

    @property
    def talk(self) -> Conversation:
        """Return the session that is open, or the one before it."""
        return self._engine.talk

    @property
    def open(self) -> bool:
        """Return whether a transaction is open."""
        return self.talk.tx is not None

    def handle(self, event: Any) -> Handled:
        """Return a reply, or a coroutine that ends with one; None for a piece of content."""
        if type(event) is not Reported:
            return _PLAIN[type(event)](self, event)
        if event.macros and type(event.event) is not Client:
            self._report(event.event, event.macros)
        return _REPORTED[type(event.event)](self, event)

    def count(self, event: Any, reply: Reply) -> Reply:
        """Record a refusal of the protocol; remember one of DATA."""
        if reply.code < 400:
            return reply
        reply = self.talk.refuse(reply)
        if type(event) is Reported and type(event.event) is e.Data:
            self._refusal = reply
        return reply

    def fail(self, event: Any) -> Reply | None:
        """Record an internal error; return the reply."""
        return self._engine.fail(event.event if type(event) is Reported else event)

    def sweep(self, now: float) -> None:  # noqa: ARG002
        """Record trap hits."""
        if self.talk.unrecorded:
            self.talk.record_traps()

    def lost(self) -> Coroutine[Any, Any, None] | None:
        """End the session that is open; return what is still to be done."""
        return self._end(after_quit=False)

    # Facts

    def _report(self, event: e.Event, macros: Mapping[str, str]) -> None:
        """Keep the macros of a command, and the facts in them."""
        session, tx = self.talk.session, self.talk.tx
        if type(event) is e.Helo:
            self._base = {**self._base, **macros}
        set_fact(session, "reported", {**self._base, **macros})
        if session.tls is None and macros.get("tls_version"):
            set_fact(session, "tls", _tls(macros))
            self.talk.recorder.tls_established(session)
        if session.auth is None and macros.get("auth_authen"):
            set_fact(session, "auth", AuthFacts(macros["auth_authen"], macros.get("auth_type", "")))
            self.talk.recorder.authenticated(session)
        if tx is not None and macros.get("i"):
            set_fact(tx, "queue_id", macros["i"])

    # Events

    def negotiate(self, _event: Negotiate) -> Handled:
        """Take the offer of the mail server."""
        return r.OK

    def client(self, event: Reported) -> Handled:
        """Begin a session."""
        assert type(event.event) is Client
        session = self._begin(event.event)
        self._base = {**event.macros, "client_name": event.event.name}
        set_fact(session, "reported", self._base)
        self._engine = Engine(self._setup, session, MILTER)
        self._is_open, self._refusal = True, None
        self._setup.recorder.connection_opened(session)
        return self._engine.handle(e.Connected())

    def helo(self, event: Reported) -> Handled:
        """Take HELO or EHLO, which are one command in this protocol."""
        assert type(event.event) is e.Helo
        self._refusal = None
        return named(self.talk, event.event.name)

    def mail(self, event: Reported) -> Handled:
        """Take MAIL; a transaction that is still open ends."""
        self._refusal = None
        if self.talk.tx is None:
            return self._engine.handle(event.event)
        return self._mail_again(event)

    async def _mail_again(self, event: Reported) -> Reply | None:
        await self.talk.reset()
        result = self._engine.handle(event.event)
        return result if result is None or isinstance(result, Reply) else await result

    def rcpt(self, event: Reported) -> Handled:
        """Take RCPT."""
        return self._refusal or self._engine.handle(event.event)

    def data(self, event: Reported) -> Handled:
        """Take DATA."""
        return self._refusal or self._engine.handle(event.event)

    def rset(self, event: Reported) -> Handled:
        """End the transaction."""
        self._refusal = None
        return self._engine.handle(event.event)

    def pass_on(self, event: Reported) -> Handled:
        """Take an event as it is."""
        return self._engine.handle(event.event)

    def content(self, event: e.Content) -> Handled:
        """Take a piece of the message without a reply."""
        return take(self.talk, event)

    def piece(self, event: Piece) -> Handled:
        """Take a piece of the message; refuse the message if that is certain."""
        reading = take(self.talk, e.Content(event.data)) if event.data else None
        return self._after_piece() if reading is None else self._piece_read(reading)

    async def _piece_read(self, reading: Coroutine[Any, Any, None]) -> Reply:
        await reading
        result = self._after_piece()
        return result if isinstance(result, Reply) else await result

    def _after_piece(self) -> Result:
        return r.OK if self.talk.refusal is None else refuse_early(self.talk, self.talk.refusal)

    def session_end(self, _event: SessionEnd) -> Handled:
        """End the session; the connection may go on with another client."""
        end = self._end(after_quit=True)
        if end is not None:
            self._run_to_end(end)
        return r.OK

    def fault(self, event: e.Fault) -> Handled:
        """Record that the mail server has broken the protocol."""
        return self.talk.refuse(event.reply)

    def _end(self, *, after_quit: bool) -> Coroutine[Any, Any, None] | None:
        """End the session; return the coroutine of plugins that are notified."""
        if not self._is_open:
            return None
        self._is_open = False
        end = self._engine.disconnected()
        if end is None:
            self._closed(self.talk, after_quit=after_quit)
            return None
        return self._end_later(self.talk, end, after_quit=after_quit)

    async def _end_later(
        self, talk: Conversation, end: Coroutine[Any, Any, None], *, after_quit: bool
    ) -> None:
        await end
        self._closed(talk, after_quit=after_quit)

    def _closed(self, talk: Conversation, *, after_quit: bool) -> None:
        """Record the end of a session, with the octets of its part of the connection."""
        traffic = self._traffic
        received, sent = traffic.received, traffic.sent
        traffic.received = traffic.sent = 0
        talk.recorder.connection_closed(talk.session, received, sent, after_quit=after_quit)


def _tls(macros: Mapping[str, str]) -> TlsFacts:
    """Return the facts about TLS; a certificate counts only if the mail server has verified it."""
    verified = macros.get("verify") == "OK"
    subject = macros.get("cert_subject", "") if verified else ""
    return TlsFacts(macros["tls_version"], macros.get("cipher", ""), peer_subject=subject)


_PLAIN: Final[dict[type[e.Event], Callable[[MilterHandler, Any], Handled]]] = {
    Negotiate: MilterHandler.negotiate,
    e.Content: MilterHandler.content,
    Piece: MilterHandler.piece,
    SessionEnd: MilterHandler.session_end,
    e.Fault: MilterHandler.fault,
}
_REPORTED: Final[dict[type[e.Event], Callable[[MilterHandler, Any], Handled]]] = {
    Client: MilterHandler.client,
    e.Helo: MilterHandler.helo,
    e.Mail: MilterHandler.mail,
    e.Rcpt: MilterHandler.rcpt,
    e.Data: MilterHandler.data,
    e.Rset: MilterHandler.rset,
    e.Unknown: MilterHandler.pass_on,
    e.EndOfMessage: MilterHandler.pass_on,
    e.MessageFault: MilterHandler.pass_on,
}
