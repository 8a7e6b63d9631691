"""The steps that begin a session: the connection, HELO, EHLO."""

from gatepost.model.decision import Decision
from gatepost.model.facts import set_fact
from gatepost.model.reply import Reply
from gatepost.model.session import Session
from gatepost.plugin.chain import Answer
from gatepost.session.conversation import Conversation, Result
from gatepost.session.steps.offer import ehlo_reply, offer, offered
from gatepost.session.steps.step import Step, run
from gatepost.wire import events as e


class _Connect(Step):
    """The connection: the greeting."""

    @property
    def args(self) -> tuple[Session]:
        return (self.talk.session,)

    def proceed(self, answer: Answer | None) -> Reply:
        talk = self.talk
        usual = talk.setup.greetings[talk.dialect.name]
        return usual if answer is None else _after_name(talk, usual, answer.decision)


class _Named(Step):
    """HELO: the client's name. It also ends a transaction (RFC 5321 section 4.1.4)."""

    __slots__ = ("_extended_before", "_name")

    def __init__(self, talk: Conversation, name: str, *, extended: bool) -> None:
        super().__init__(talk, "helo")
        session = talk.session
        self._extended_before = session.extended
        self._name = name
        set_fact(session, "extended", extended)

    @property
    def args(self) -> tuple[Session, str]:
        return self.talk.session, self._name

    def proceed(self, answer: Answer | None) -> Result:
        return self._named(answer, self.talk.setup.helo)

    def _named(self, answer: Answer | None, usual: Reply) -> Result:
        """Note the name; return the usual reply, or that of a plugin."""
        talk = self.talk
        reply = usual if answer is None else _after_name(talk, usual, answer.decision)
        set_fact(talk.session, "helo", self._name)
        return reply if talk.tx is None else talk.reset_and(reply)

    def refused(self, reply: Reply) -> Reply:
        """Keep the terms of the greeting before."""
        set_fact(self.talk.session, "extended", self._extended_before)
        return reply


class _Ehlo(_Named):
    """EHLO or LHLO: the reply has the keywords."""

    def proceed(self, answer: Answer | None) -> Result:
        talk = self.talk
        result = self._named(answer, offer(talk))
        if "ehlo" in talk.chains or talk.detailed:
            return _ask_plugins(talk, result)
        return result


class _Keywords(Step):
    """Not a command: the reply to EHLO."""

    __slots__ = ("_words",)

    def __init__(self, talk: Conversation) -> None:
        super().__init__(talk, "ehlo")
        self._words = [*talk.setup.keywords, *offered(talk)]

    @property
    def args(self) -> tuple[Session, list[str]]:
        return self.talk.session, self._words

    def proceed(self, answer: Answer | None) -> Reply:  # noqa: ARG002 - there is no other reply
        talk = self.talk
        if self._words == [*talk.setup.keywords, *offered(talk)]:
            return offer(talk)  # made once, not for each client
        return ehlo_reply(talk, self._words)


def connect(talk: Conversation, _event: e.Connected) -> Result:
    """Decide about a client that has just connected."""
    return run(_Connect(talk, "connect"))


def ehlo(talk: Conversation, event: e.Ehlo) -> Result:
    """Decide about a client that greets with EHLO or LHLO."""
    return run(_Ehlo(talk, event.name, extended=True))


def helo(talk: Conversation, event: e.Helo) -> Result:
    """Decide about a client that greets with HELO."""
    return run(_Named(talk, event.name, extended=False))


def named(talk: Conversation, name: str) -> Result:
    """Decide about a client's name where HELO and EHLO are one command without keywords."""
    return run(_Named(talk, name, extended=True))


def _after_name(talk: Conversation, usual: Reply, decision: Decision) -> Reply:
    """Return the reply with a plugin's text, which must follow the server's name."""
    if decision.text is None:
        return usual
    _, line_break, rest = usual.text.partition("\n")
    first = f"{talk.setup.hostname} {' '.join(decision.text.split())}"
    return Reply(usual.code, first + line_break + rest)


async def _ask_plugins(talk: Conversation, named: Result) -> Reply:
    """Let plugins change the keywords."""
    if not isinstance(named, Reply):
        await named
    result = run(_Keywords(talk))
    return result if isinstance(result, Reply) else await result
