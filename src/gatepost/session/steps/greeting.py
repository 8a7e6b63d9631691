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

NamedStep = Step[e.Ehlo | e.Helo, Session, str]


def _begin(talk: Conversation, _event: e.Connected) -> tuple[Session]:
    return (talk.session,)


def _greet(talk: Conversation, answer: Answer | None, _session: Session) -> Reply:
    usual = talk.setup.greetings[talk.dialect.name]
    return usual if answer is None else _after_name(talk, usual, answer.decision)


def _after_name(talk: Conversation, usual: Reply, decision: Decision) -> Reply:
    """Return the reply with a plugin's text, which must follow the server's name."""
    if decision.text is None:
        return usual
    _, line_break, rest = usual.text.partition("\n")
    first = f"{talk.setup.hostname} {' '.join(decision.text.split())}"
    return Reply(usual.code, first + line_break + rest)


def _begin_named(talk: Conversation, event: e.Ehlo | e.Helo) -> tuple[Session, str]:
    session = talk.session
    talk.extended_before = session.extended
    set_fact(session, "extended", type(event) is e.Ehlo)
    return session, event.name


def _refused_name(talk: Conversation, _reply: Reply, session: Session, _name: str) -> None:
    """Keep the terms of the greeting before."""
    set_fact(session, "extended", talk.extended_before)


def _helo(talk: Conversation, answer: Answer | None, _session: Session, name: str) -> Result:
    usual = talk.setup.helo
    reply = usual if answer is None else _after_name(talk, usual, answer.decision)
    return _named(talk, name, reply)


def _ehlo(talk: Conversation, answer: Answer | None, _session: Session, name: str) -> Result:
    usual = offer(talk)
    reply = usual if answer is None else _after_name(talk, usual, answer.decision)
    result = _named(talk, name, reply)
    if "ehlo" in talk.chains or talk.detailed:
        return _ask_plugins(talk, result)
    return result


def _named(talk: Conversation, name: str, reply: Reply) -> Result:
    """Note the client's name; this also ends a transaction (RFC 5321 section 4.1.4)."""
    set_fact(talk.session, "helo", name)
    return reply if talk.tx is None else talk.reset_and(reply)


async def _ask_plugins(talk: Conversation, named: Result) -> Reply:
    """Let plugins change the keywords."""
    if not isinstance(named, Reply):
        await named
    result = run(talk, KEYWORDS, None)
    return result if isinstance(result, Reply) else await result


def _begin_keywords(talk: Conversation, _event: None) -> tuple[Session, list[str]]:
    return talk.session, [*talk.setup.keywords, *offered(talk)]


def _keywords(
    talk: Conversation, _answer: Answer | None, _session: Session, words: list[str]
) -> Reply:
    if words == [*talk.setup.keywords, *offered(talk)]:
        return offer(talk)  # made once, not for each client
    return ehlo_reply(talk, words)


CONNECT = Step("connect", _begin, _greet)
HELO: NamedStep = Step("helo", _begin_named, _helo, refused=_refused_name)
EHLO: NamedStep = Step("helo", _begin_named, _ehlo, refused=_refused_name)
# Not a command: the reply to EHLO.
KEYWORDS = Step("ehlo", _begin_keywords, _keywords)
