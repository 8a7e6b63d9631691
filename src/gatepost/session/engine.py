"""One session: events in, replies out.

Theory of operation
-------------------
`handle(event)` returns the reply, None for an event that takes none, or a coroutine that ends with
either. The caller runs that to its end before it hands in the next event. Where nobody is to be
asked there is no coroutine; and as long as no plugin and no target has to wait one never suspends,
so `gatepost.plugin.inline` runs it in place.

What the client may send when is the wire's business; here a command is known to be in order. The
engine decides (`run`) along the rows of `gatepost.session.steps`.

Security: a refusal's text comes from the core, the configuration or a plugin, never from an
exception. Whatever goes wrong inside is logged and answered with 421 or 451, not with silence.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from gatepost.model.decision import Verdict
from gatepost.model.message import Message
from gatepost.model.reply import Reply
from gatepost.model.session import Session, TlsFacts, Transaction, TrapHit
from gatepost.plugin.chain import Answer, Chain, Outcome
from gatepost.plugin.hooks import reply_for
from gatepost.plugin.inline import need_task
from gatepost.session import dsn, rules
from gatepost.session import replies as r
from gatepost.session.authentication import Authentication
from gatepost.session.collector import HeaderCollector
from gatepost.session.log import log_accepted, log_refusal, log_trap
from gatepost.session.setup import DSN, STARTTLS, Setup
from gatepost.session.steps import DATA, DELIVER, HEADERS, MESSAGE, STEPS, Result, Step
from gatepost.session.trace import received
from gatepost.session.xclient import Gate, claimed
from gatepost.wire import events as e
from gatepost.wire.smtp.commands import JUNK
from gatepost.wire.smtp.replies import START_MAIL_INPUT
from gatepost.wire.smtp.xclient import KEYWORD

Handling = Coroutine[Any, Any, Reply | None]
Handled = Reply | Handling | None


class Engine:
    """Setup applied to one connection.

    `tx` is the open transaction; `delivering` is true from when a target has the message until all
    are told of it: the coroutine must not be cancelled then. `offers_tls` is whether the client may
    say STARTTLS, `gate` is None unless it is a trusted host that may send XCLIENT, `auth` unless
    the client may say who it is.
    """

    __slots__ = (
        "_chains",
        "_errors",
        "_headers",
        "_junk",
        "_verdict",
        "auth",
        "delivering",
        "gate",
        "offers_tls",
        "session",
        "setup",
        "tx",
    )

    def __init__(self, setup: Setup, session: Session, gate: Gate | None = None) -> None:
        self.setup = setup
        self.session = session
        self.gate = gate
        self._chains = setup.plugins.busy
        self.tx: Transaction | None = None
        self.delivering = False
        self.offers_tls = False
        self.auth: Authentication | None = None
        self._headers: HeaderCollector | None = None
        self._verdict: Reply | None = None
        self._errors = 0
        self._junk = 0

    def handle(self, event: e.Event) -> Handled:
        """Deal with an event; see the module for what is returned."""
        step = STEPS.get(type(event))
        return self.run(step, event) if step is not None else _OTHERS[type(event)](self, event)

    def run(self, step: Step, event: Any) -> Result:
        """Walk an event through its step, from begin to follow."""
        args = step.begin(self, event)
        chain = self._chains.get(step.hook)
        if chain is not None:
            return self._consult(step, chain, args)
        answer = None if step.rule is None else step.rule(self, *args)
        return self._conclude(step, answer, args)

    async def _consult(self, step: Step, chain: Chain, args: tuple[Any, ...]) -> Reply:
        """Do the same with plugins: all are told, then asked, then told what came of it."""
        failure = await chain.observe(*args)
        answer = failure if step.rule is None else step.rule(self, *args) or failure
        if answer is None:
            answer = await chain.decide(*args)
        result = self._conclude(step, answer, args)
        reply = result if isinstance(result, Reply) else await result
        if chain.followers:
            await chain.follow(*args, Outcome(reply, answer))
        return reply

    def _conclude(self, step: Step, answer: Answer | None, args: tuple[Any, ...]) -> Result:
        if answer is None and step.confirm is not None:
            confirmation = step.confirm(self, *args)
            if confirmation is not None:
                return self._confirm(step, confirmation, args)
        if answer is None or answer.decision.verdict is Verdict.ACCEPT:
            return step.proceed(self, answer, *args)
        return self.refuse(step, answer, args)

    async def _confirm(
        self, step: Step, confirmation: Awaitable[Answer | None], args: tuple[Any, ...]
    ) -> Reply:
        """Proceed unless who is asked last objects."""
        answer = await confirmation
        result = (
            step.proceed(self, None, *args) if answer is None else self.refuse(step, answer, args)
        )
        return result if isinstance(result, Reply) else await result

    async def refuse(self, step: Step, answer: Answer, args: tuple[Any, ...]) -> Reply:
        """Refuse what a step is about, for good or for now."""
        decision = answer.decision
        reply = reply_for(step.hook, decision).with_reference(self.reference)
        log_refusal(self, step.hook, answer, reply, args)
        if step.refused is not None:
            await step.refused(self, reply, *args)
        if decision.delay:
            await need_task()
            await self.setup.clock.sleep(decision.delay)
        return reply

    @property
    def reference(self) -> str:
        """What a refusal is looked up by: the transaction's id, or the session's."""
        return self.session.id if self.tx is None else self.tx.id

    def settle(self, event: e.Event, reply: Reply) -> Reply:
        """Count errors and idle commands; return the reply, or 421 when there were too many."""
        if type(event) is e.ChunkRefused:
            return reply  # counted when the chunk it is about was refused
        if reply.code >= 400:
            self._errors += 1
            if self._errors >= self.setup.limits.errors:
                return r.TOO_MANY_ERRORS
        elif type(event) in JUNK:
            self._junk += 1
            if self._junk > self.setup.limits.junk_commands:
                return r.TOO_MUCH_JUNK
        return reply

    @property
    def erring(self) -> bool:
        """Whether the client has made so many errors that it has to wait for the next answer."""
        return self._errors > self.setup.limits.soft_errors

    def start_tls(self, facts: TlsFacts) -> None:
        """Forget what the client said in the clear; budgets stay (RFC 3207 section 4.2)."""
        session = self.session
        session.helo = ""
        session.extended = False
        session.tls = facts
        session.auth = None
        self.offers_tls = False

    def greeted(self, name: str, reply: Reply, *, extended: bool) -> Result:
        """Take the client's name; that also ends a transaction (RFC 5321 section 4.1.4)."""
        self.session.helo = name
        self.session.extended = extended
        return reply if self.tx is None else self.reset_and(reply)

    async def reset_and(self, reply: Reply) -> Reply:
        """Drop the open transaction, then reply."""
        await self.reset()
        return reply

    def trap_hit(self, tx: Transaction, hit: TrapHit) -> None:
        """Note that a recipient is a trap."""
        tx.trap_hits.append(hit)
        log_trap(self, tx, hit)

    def begin_message(self, tx: Transaction) -> None:
        """Expect content."""
        setup = self.setup
        tx.message = Message(setup.limits.memory_per_message, setup.folder)
        self._verdict = None
        has_readers = "headers" in self._chains
        self._headers = HeaderCollector(setup.limits.header_size) if has_readers else None

    def take(self, data: bytes) -> Coroutine[Any, Any, None] | None:
        """Store content; once the header block is complete, show it to plugins."""
        tx = self.tx
        if self._verdict is not None or tx is None or tx.message is None:
            return None
        try:
            tx.message.write(data)
        except OSError as error:
            return self._storage_failed(tx, str(error))
        if self._headers is not None and self._headers.add(data):
            return self.read_headers()
        return None

    async def _storage_failed(self, tx: Transaction, error: str) -> None:
        self.setup.log.error("storage failed", ref=tx.id, error=error)
        self._verdict = await self.refuse(MESSAGE, rules.STORAGE, (tx,))

    async def read_headers(self) -> None:
        """Show the header block to plugins, once; a refusal waits for the end of the message."""
        if self._headers is None or self._verdict is not None:
            return
        headers, self._headers = self._headers, None
        if headers.too_long:
            self._verdict = await self.refuse(HEADERS, rules.HEADER_TOO_LONG, ())
            return
        result = self.run(HEADERS, headers.parse())
        reply = result if isinstance(result, Reply) else await result
        if reply.code >= 400:
            self._verdict = reply

    async def end_of_message(self) -> Reply:
        """Decide about the whole message and hand it over."""
        tx = self.tx
        if self._verdict is None and tx is not None and tx.message is not None:
            try:
                tx.message.complete()
            except OSError as error:
                await self._storage_failed(tx, str(error))
        if self._headers is not None:
            await self.read_headers()
        result = self._verdict or self.run(MESSAGE, None)
        reply = result if isinstance(result, Reply) else await result
        if reply.code >= 400 or self.tx is None:
            await self.reset()
            return reply
        return await self._deliver(self.tx)

    async def _deliver(self, tx: Transaction) -> Reply:
        if tx.message is not None:
            tx.message.added.append(received(tx, self.setup.hostname))
        self.delivering = True
        try:
            result = self.run(DELIVER, None)
            reply = result if isinstance(result, Reply) else await result
            if reply.code < 400:
                await self._delivered(tx)
        finally:
            self.delivering = False
        await self.reset()
        return reply

    async def _delivered(self, tx: Transaction) -> None:
        self._errors = self._junk = 0
        self.session.messages += 1
        log_accepted(self, tx)
        await self._notify("delivered", tx)
        self._close(tx)

    def fail(self, event: e.Event) -> Reply | None:
        """Return the reply to an event that went wrong inside; content has to wait for its end."""
        if type(event) is not e.Content:
            return r.INTERNAL_ERROR
        self._verdict = r.INTERNAL_ERROR
        return None

    async def reset(self) -> None:
        """Drop the open transaction, if there is one."""
        tx = self.tx
        if tx is not None:
            self._close(tx)
            await self._notify("reset", tx)

    @property
    def choice(self) -> tuple[str, ...]:
        """What of `Setup.offers` is this client's."""
        told = (DSN,) if dsn.are_offered(self) else ()
        return (*told, STARTTLS) if self.offers_tls else told

    @property
    def keywords(self) -> tuple[str, ...]:
        """What EHLO offers this client."""
        offered = (*self.setup.keywords, *self.choice)
        if self.auth is not None:
            offered = (*offered, *self.auth.keyword(self.session))
        return offered if self.gate is None else (*offered, KEYWORD)

    async def restart(self, attributes: Mapping[str, str]) -> Reply:
        """Go on as if another client had just connected, whom XCLIENT has named."""
        assert self.gate is not None
        session = claimed(self.session, attributes, self.setup.clock.time())
        refusal = self.gate.readmit(session, attributes.get("ADDR"))
        if refusal is not None:
            return refusal
        await self._notify("disconnect", self.session)
        self.session = session
        result = self.run(STEPS[e.Connected], None)
        reply = result if isinstance(result, Reply) else await result
        return reply if reply.code < 400 else reply.closing()

    def disconnected(self) -> Coroutine[Any, Any, None] | None:
        """Clean up after a connection that is gone; what has to be waited for is returned."""
        if self.tx is None and not self.setup.plugins.notifications["disconnect"]:
            return None
        return self._disconnected()

    async def _disconnected(self) -> None:
        await self.reset()
        await self._notify("disconnect", self.session)

    def _close(self, tx: Transaction) -> None:
        self.tx = None
        self._headers = None
        if tx.message is not None:
            tx.message.close()

    async def _notify(self, notification: str, fact: Transaction | Session) -> None:
        chain = self.setup.plugins.notifications[notification]
        if chain.followers:
            await chain.follow(fact)


def _rset(engine: Engine, _event: e.Rset) -> Handled:
    return r.OK if engine.tx is None else engine.reset_and(r.OK)


def _xclient(engine: Engine, event: e.Xclient) -> Handled:
    return engine.restart(event.attributes)


def _auth(engine: Engine, event: e.Auth) -> Handled:
    assert engine.auth is not None
    return engine.auth.begin(engine, event)


def _auth_response(engine: Engine, event: e.AuthResponse) -> Handled:
    assert engine.auth is not None
    return engine.auth.respond(engine, event)


def _expn(_engine: Engine, _event: e.Expn) -> Reply:
    return r.NOT_IMPLEMENTED


def _start_tls(_engine: Engine, _event: e.StartTls) -> Reply:
    return r.START_TLS


def _content(engine: Engine, event: e.Content) -> Handled:
    return engine.take(event.data)


def _bdat(engine: Engine, event: e.Bdat) -> Handled:
    """Decide at the first chunk as at DATA; later ones belong to what was decided then."""
    return engine.run(DATA, event) if event.first else START_MAIL_INPUT


def _chunk_end(_engine: Engine, _event: e.ChunkEnd) -> Reply:
    return r.CHUNK_OK


def _end_of_message(engine: Engine, _event: e.EndOfMessage) -> Handled:
    return engine.end_of_message()


def _message_fault(engine: Engine, event: e.MessageFault) -> Handled:
    return engine.reset_and(event.reply)


def _given(_engine: Engine, event: e.Fault | e.ChunkRefused) -> Reply:
    return event.reply


_OTHERS: dict[type[e.Event], Callable[[Engine, Any], Handled]] = {
    e.Rset: _rset,
    e.Expn: _expn,
    e.Xclient: _xclient,
    e.StartTls: _start_tls,
    e.Auth: _auth,
    e.AuthResponse: _auth_response,
    e.Bdat: _bdat,
    e.Content: _content,
    e.ChunkEnd: _chunk_end,
    e.EndOfMessage: _end_of_message,
    e.MessageFault: _message_fault,
    e.Fault: _given,
    e.ChunkRefused: _given,
}
