"""One session: events in, replies out.

Theory of operation
-------------------
`handle(event)` returns the reply, None for an event without one, or a coroutine that ends with
either. The caller runs it to its end before it passes the next event. The coroutine suspends only
if a plugin or a target waits (`gatepost.net.inline`).

The wire has checked that a command may come now. The engine takes it through its step: see
`gatepost.session.steps.step` for the way, and the modules of the steps for what each command does.

Security: every internal error is logged and answered with 421 or 451.
"""

from collections.abc import Callable, Collection, Coroutine
from typing import Any, Final

from gatepost.model.facts import set_fact
from gatepost.model.reply import Reply
from gatepost.model.session import Session, TlsFacts
from gatepost.plugin.chain import Answer
from gatepost.plugin.hooks import accepting
from gatepost.session import replies as r
from gatepost.session.conversation import Conversation, Result
from gatepost.session.dialect import Dialect
from gatepost.session.handler import Handler
from gatepost.session.setup import Setup
from gatepost.session.steps.envelope import mail, rcpt
from gatepost.session.steps.greeting import connect, ehlo, helo
from gatepost.session.steps.intake import chunk, data, end_of_message, take
from gatepost.session.steps.step import Step, run
from gatepost.session.steps.xclient import claimed
from gatepost.wire import events as e
from gatepost.wire.smtp.commands import JUNK

Handling = Coroutine[Any, Any, Reply | None]
Handled = Reply | Handling | None


class Engine(Handler):
    """The conversation with one client, and what the server may do with it."""

    __slots__ = ("talk",)

    def __init__(self, setup: Setup, session: Session, dialect: Dialect) -> None:
        self.talk = Conversation(setup, session, dialect)

    @property
    def counted(self) -> Collection[type[e.Event]]:
        """Return the events that count as idle commands."""
        return JUNK

    def handle(self, event: e.Event) -> Handled:
        """Handle an event; the module describes the result."""
        return _HANDLERS[type(event)](self.talk, event)

    def count(self, event: e.Event, reply: Reply) -> Reply:
        """Count errors and idle commands; return the reply, or 421 if there are too many."""
        talk = self.talk
        limits = talk.setup.limits
        if type(event) is e.ChunkRefused:
            return reply  # counted when the chunk was refused
        if reply.code >= 400:
            reply = talk.refuse(reply)
            talk.errors += 1
            if talk.errors >= limits.errors:
                return self._end("errors", r.TOO_MANY_ERRORS)
        elif type(event) in JUNK:
            talk.idle_commands += 1
            if talk.idle_commands > limits.junk_commands:
                return self._end("junk_commands", r.TOO_MANY_IDLE_COMMANDS)
        return reply

    def _end(self, limit: str, reply: Reply) -> Reply:
        talk = self.talk
        reply = reply.with_reference(talk.reference)
        talk.recorder.limit_reached(talk.session, talk.tx, limit, reply)
        return reply

    @property
    def error_delay(self) -> float:
        """Seconds to wait before the next refusal is sent."""
        limits = self.talk.setup.limits
        return limits.error_delay if self.talk.errors > limits.soft_errors else 0.0

    def start_tls(self, facts: TlsFacts) -> None:
        """Discard what the client sent in the clear; counts stay (RFC 3207 section 4.2)."""
        talk = self.talk
        session = talk.session
        for name, value in (("helo", ""), ("extended", False), ("tls", facts), ("auth", None)):
            set_fact(session, name, value)
        talk.offers_tls = False
        talk.recorder.tls_established(session)

    def fail(self, event: e.Event) -> Reply | None:
        """Record an internal error; return the reply. Content gets its reply at the end."""
        talk = self.talk
        reply = r.INTERNAL_ERROR.with_reference(talk.reference)
        talk.recorder.session_failed(talk.session, talk.tx, reply)
        if type(event) is not e.Content:
            return reply
        talk.refusal = reply
        return None

    def disconnected(self) -> Coroutine[Any, Any, None] | None:
        """Clean up after the connection; return a coroutine if plugins are to be notified."""
        talk = self.talk
        if talk.tx is not None:
            return _disconnected(talk)
        talk.record_traps()
        return _disconnected(talk) if talk.notifies("disconnect") else None


async def _disconnected(talk: Conversation) -> None:
    await talk.reset()
    talk.record_traps()
    await talk.notify("disconnect", talk.session)


class _About(Step):
    """A command with arguments for plugins, and without any effect but its reply.

    A plugin can accept it with another reply: `base` with its text and codes, see `accepting`.
    """

    __slots__ = ("_base", "_rest", "_usual")

    def __init__(
        self,
        talk: Conversation,
        hook: str,
        rest: tuple[str, ...],
        usual: Reply,
        base: Reply | None = None,
    ) -> None:
        super().__init__(talk, hook)
        self._rest = rest
        self._usual = usual
        self._base = base

    @property
    def args(self) -> tuple[Any, ...]:
        return self.talk.session, *self._rest

    def proceed(self, answer: Answer | None) -> Reply:
        if answer is None:
            return self._usual
        return accepting(self._usual, answer.decision, self._base)


class _Command(_About):
    """A command that a plugin adds; it is not recognised if the plugin has no opinion."""

    def proceed(self, answer: Answer | None) -> Reply:
        return r.UNKNOWN_COMMAND if answer is None else accepting(r.OK, answer.decision)


def _noop(talk: Conversation, event: e.Noop) -> Result:
    return run(_About(talk, "noop", (event.text,), r.OK))


def _vrfy(talk: Conversation, event: e.Vrfy) -> Result:
    return run(_About(talk, "vrfy", (event.text,), r.CANNOT_VERIFY, r.OK))


def _help(talk: Conversation, event: e.Help) -> Result:
    return run(_About(talk, "help", (event.text,), talk.dialect.help))


def _quit(talk: Conversation, _event: e.Quit) -> Result:
    return run(_About(talk, "quit", (), r.CLOSING))


def _unknown(talk: Conversation, event: e.Unknown) -> Result:
    about = event.verb, event.text
    return run(_About(talk, "unknown_command", about, r.UNKNOWN_COMMAND, r.OK))


def _added(talk: Conversation, event: e.Added) -> Result:
    return run(_Command(talk, "command", (event.verb, event.text), r.UNKNOWN_COMMAND))


def _rset(talk: Conversation, _event: e.Rset) -> Result:
    return r.OK if talk.tx is None else talk.reset_and(r.OK)


def _auth(talk: Conversation, event: e.Auth) -> Result:
    assert talk.auth is not None
    return talk.auth.begin(talk, event)


def _auth_response(talk: Conversation, event: e.AuthResponse) -> Result:
    assert talk.auth is not None
    return talk.auth.respond(talk, event)


async def _xclient(talk: Conversation, event: e.Xclient) -> Reply:
    """Go on as if the named client had just connected."""
    assert talk.admission is not None
    session = claimed(talk.session, event.attributes, talk.setup.clock.time())
    refusal = talk.admission.readmit(session, event.attributes.get("ADDR"))
    if refusal is not None:
        return refusal
    await talk.notify("disconnect", talk.session)
    talk.session = session
    result = connect(talk, e.Connected())
    reply = result if isinstance(result, Reply) else await result
    return reply if reply.code < 400 else reply.closing()


def _message_fault(talk: Conversation, event: e.MessageFault) -> Result:
    return talk.reset_and(talk.refuse(event.reply))


def _fault(talk: Conversation, event: e.Fault) -> Reply:
    return talk.refuse(event.reply)


_HANDLERS: Final[dict[type[e.Event], Callable[[Conversation, Any], Handled]]] = {
    e.Connected: connect,
    e.Ehlo: ehlo,
    e.Helo: helo,
    e.Mail: mail,
    e.Rcpt: rcpt,
    e.Data: data,
    e.Noop: _noop,
    e.Vrfy: _vrfy,
    e.Help: _help,
    e.Quit: _quit,
    e.Unknown: _unknown,
    e.Added: _added,
    e.IdleAdded: _added,
    e.Rset: _rset,
    e.Expn: lambda _talk, _event: r.NOT_IMPLEMENTED,
    e.StartTls: lambda _talk, _event: r.START_TLS,
    e.Xclient: _xclient,
    e.Auth: _auth,
    e.AuthResponse: _auth_response,
    e.Bdat: chunk,
    e.Content: take,
    e.ChunkEnd: lambda _talk, _event: r.CHUNK_OK,
    e.EndOfMessage: end_of_message,
    e.MessageFault: _message_fault,
    e.Fault: _fault,
    e.ChunkRefused: lambda _talk, event: event.reply,
}
