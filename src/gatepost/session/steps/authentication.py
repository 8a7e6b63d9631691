"""AUTH on one connection: credentials, the decision, and the cost of a failure.

Theory of operation
-------------------
A SASL mechanism (`gatepost.wire.sasl`) turns what the client sends into an `AuthAttempt`. The
attempt takes the way of every command (`gatepost.session.steps.step`): observers, the core's rule,
plugins, and then the users file. A SCRAM proof is verified before any plugin is asked: `accept()`
cannot replace it.

The reply to a failure is delayed; the delay doubles with each failure, and after
`limits.auth_failures` the connection is closed. Attempts are also counted by address and network,
see `gatepost.auth.auth_limiter`. Over that limit the reply is 454 whatever the credentials.

Security: nothing of a response is logged or repeated but the user name, and only after
`gatepost.wire.sasl.prepare` has accepted it.
"""

from base64 import b64encode

from gatepost.auth.auth_limiter import AuthLimiter
from gatepost.auth.authority import Authority
from gatepost.auth.passwords import BusyError
from gatepost.model.auth_attempt import AuthAttempt
from gatepost.model.facts import set_fact
from gatepost.model.reply import Reply
from gatepost.model.session import AuthFacts, Session
from gatepost.net.inline import need_task
from gatepost.plugin.chain import Answer
from gatepost.plugin.hooks import accepting
from gatepost.session import answers, rules
from gatepost.session import replies as r
from gatepost.session.conversation import Conversation, Result
from gatepost.session.steps.step import Question, Step, refusal, run
from gatepost.wire import events as e
from gatepost.wire.sasl.mechanism import Challenge, Mechanism, SaslError
from gatepost.wire.smtp.replies import CONTINUE_AUTH

# Seconds before the first failure is answered.
FIRST_DELAY = 1.0

_HOOK = "auth"


class Authentication:
    """The state of AUTH on one connection."""

    __slots__ = ("_authority", "_failures", "_limiter", "_mechanism")

    def __init__(self, authority: Authority, limiter: AuthLimiter) -> None:
        self._authority = authority
        self._limiter = limiter
        self._failures = 0
        self._mechanism: Mechanism | None = None

    def keyword(self, session: Session) -> str:
        """Return the EHLO keyword, "" if AUTH cannot be used now."""
        if session.tls is None and not self._authority.clear:
            return ""
        mechanisms = " ".join(self._authority.offered_mechanisms())
        return f"AUTH {mechanisms}" if mechanisms else ""

    def begin(self, talk: Conversation, event: e.Auth) -> Result:
        """Answer AUTH."""
        self._mechanism = self._authority.begin(event.mechanism)
        if self._mechanism is None:
            return r.AUTH_UNKNOWN
        if not self._limiter.admit(talk.session.peer.host):
            return refusal(talk, _HOOK, answers.TOO_MANY_ATTEMPTS)
        return self._advance(talk, event.initial)

    def respond(self, talk: Conversation, event: e.AuthResponse) -> Result:
        """Answer the response to a challenge."""
        return self._advance(talk, event.data)

    def _advance(self, talk: Conversation, response: bytes | None) -> Result:
        assert self._mechanism is not None
        try:
            outcome = self._mechanism.step(response)
        except SaslError:
            return r.AUTH_MALFORMED
        if isinstance(outcome, Challenge):
            return Reply(CONTINUE_AUTH, b64encode(outcome.data).decode())
        return self._decide(talk, outcome)

    async def _decide(self, talk: Conversation, attempt: AuthAttempt) -> Reply:
        """Answer a complete attempt; the reply to a failure is delayed."""
        self._mechanism = None
        result = run(_Attempt(talk, attempt))
        reply = result if isinstance(result, Reply) else await result
        if reply.code < 500:
            self._limiter.refund(talk.session.peer.host)
            return reply
        self._failures += 1
        await need_task()
        await talk.setup.clock.sleep(FIRST_DELAY * 2 ** (self._failures - 1))
        if self._failures < talk.setup.limits.auth_failures:
            return reply
        last = r.TOO_MANY_AUTH_FAILURES.with_reference(talk.reference)
        talk.recorder.limit_reached(talk.session, talk.tx, "auth_failures", last)
        return last


class _Attempt(Step):
    """A complete attempt."""

    __slots__ = ("_attempt",)

    def __init__(self, talk: Conversation, attempt: AuthAttempt) -> None:
        super().__init__(talk, _HOOK)
        self._attempt = attempt

    @property
    def args(self) -> tuple[Session, AuthAttempt]:
        return self.talk.session, self._attempt

    def rule(self) -> Answer | None:
        return rules.auth_rule(self._attempt)

    def ask(self) -> Question:
        """Ask the users file, if no plugin has an opinion."""
        authority = self.talk.setup.authority
        assert authority is not None
        return _objection(authority, self._attempt)

    def proceed(self, answer: Answer | None) -> Reply:
        talk, attempt = self.talk, self._attempt
        set_fact(talk.session, "auth", AuthFacts(attempt.user, attempt.mechanism))
        talk.recorder.authenticated(talk.session)
        return accepting(r.AUTHENTICATED, None if answer is None else answer.decision)


async def _objection(authority: Authority, attempt: AuthAttempt) -> Answer | None:
    await need_task()
    try:
        return None if await authority.verify(attempt) else answers.BAD_CREDENTIALS
    except BusyError:
        return answers.BUSY
