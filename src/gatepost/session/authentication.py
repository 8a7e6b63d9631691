"""AUTH on one connection: who the client says it is, who decides, and what a failure leads to.

Theory of operation
-------------------
A SASL mechanism (`gatepost.wire.sasl`) makes an `AuthAttempt` of what the client sends. That takes
the way of every command (`gatepost.session.steps`): observers, the core's rule, plugins – whoever
answers has decided – and if nobody does, the users file. With SCRAM the proof is looked at before
any plugin is asked: `accept()` cannot stand in for it.

A failure is answered after a wait that doubles with each, and the connection closed after
`limits.auth_failures`. AuthLimiter are also counted by address and network, see
`gatepost.auth.auth_limiter`; over the limit the answer is 454 whatever the credentials.

Security: nothing of a response is logged or repeated but the user name, and only once it is known
to be one (`gatepost.wire.sasl.prepare`).
"""

from base64 import b64encode
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from gatepost.auth.auth_limiter import AuthLimiter
from gatepost.auth.authority import Authority
from gatepost.auth.passwords import BusyError
from gatepost.model.auth_attempt import AuthAttempt
from gatepost.model.reply import Reply
from gatepost.model.session import AuthFacts, Session
from gatepost.plugin.chain import Answer
from gatepost.plugin.inline import need_task
from gatepost.session import replies as r
from gatepost.session import rules
from gatepost.session.log import log_authenticated
from gatepost.session.steps import Result, Step
from gatepost.wire import events as e
from gatepost.wire.sasl.mechanism import Challenge, Mechanism, SaslError
from gatepost.wire.smtp.replies import CONTINUE_AUTH

if TYPE_CHECKING:
    from gatepost.session.engine import Engine

# Seconds before the first failure is answered.
FIRST_DELAY = 1.0


class Authentication:
    """What one connection has made of AUTH so far."""

    __slots__ = ("_attempts", "_authority", "_failures", "_mechanism")

    def __init__(self, authority: Authority, attempts: AuthLimiter) -> None:
        self._authority = authority
        self._attempts = attempts
        self._failures = 0
        self._mechanism: Mechanism | None = None

    def keyword(self, session: Session) -> tuple[str, ...]:
        """Return what EHLO offers, nothing where it could not be used now."""
        if session.tls is None and not self._authority.clear:
            return ()
        mechanisms = " ".join(self._authority.offered_mechanisms())
        return (f"AUTH {mechanisms}",) if mechanisms else ()

    def begin(self, engine: "Engine", event: e.Auth) -> Result:
        """Answer AUTH."""
        self._mechanism = self._authority.begin(event.mechanism)
        if self._mechanism is None:
            return r.AUTH_UNKNOWN
        if not self._attempts.admit(engine.session.peer.host):
            return engine.refuse(AUTH, rules.TOO_MANY_ATTEMPTS, ())
        return self._step(engine, event.initial)

    def respond(self, engine: "Engine", event: e.AuthResponse) -> Result:
        """Answer the response to a challenge."""
        return self._step(engine, event.data)

    def _step(self, engine: "Engine", response: bytes | None) -> Result:
        assert self._mechanism is not None
        try:
            outcome = self._mechanism.step(response)
        except SaslError:
            return r.AUTH_MALFORMED
        if isinstance(outcome, Challenge):
            return Reply(CONTINUE_AUTH, b64encode(outcome.data).decode())
        return self._decide(engine, outcome)

    async def _decide(self, engine: "Engine", attempt: AuthAttempt) -> Reply:
        """Answer an attempt that is complete, a failed one after a while."""
        self._mechanism = None
        result = engine.run(AUTH, attempt)
        reply = result if isinstance(result, Reply) else await result
        if reply.code < 500:
            self._attempts.refund(engine.session.peer.host)
            return reply
        self._failures += 1
        await need_task()
        await engine.setup.clock.sleep(FIRST_DELAY * 2 ** (self._failures - 1))
        enough = self._failures >= engine.setup.limits.auth_failures
        return r.TOO_MANY_AUTH_FAILURES if enough else reply


def _begin(engine: "Engine", attempt: AuthAttempt) -> tuple[Session, AuthAttempt]:
    return engine.session, attempt


def _rule(_engine: "Engine", _session: Session, attempt: AuthAttempt) -> Answer | None:
    return rules.auth_rule(attempt)


def _ask(
    engine: "Engine", _session: Session, attempt: AuthAttempt
) -> Coroutine[Any, Any, Answer | None]:
    """Ask the users file, where no plugin has an opinion."""
    authority = engine.setup.authority
    assert authority is not None
    return _objection(authority, attempt)


async def _objection(authority: Authority, attempt: AuthAttempt) -> Answer | None:
    await need_task()
    try:
        return None if await authority.verify(attempt) else rules.BAD_CREDENTIALS
    except BusyError:
        return rules.BUSY


def _proceed(
    engine: "Engine", _answer: Answer | None, session: Session, attempt: AuthAttempt
) -> Reply:
    """Take the client for whom it says it is."""
    session.auth = AuthFacts(attempt.user, attempt.mechanism)
    log_authenticated(engine, session.auth)
    return r.AUTHENTICATED


AUTH = Step("auth", _begin, _proceed, _rule, confirm=_ask)
