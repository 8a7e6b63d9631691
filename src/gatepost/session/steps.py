"""What each command does once nobody objects, and what it shows to plugins: one row a command.

Every command takes the same way, which `gatepost.session.engine` walks:

    begin    the arguments plugins are given; traps are looked up here
    observe  plugins are told, all of them
    rule     the core's own decision (`gatepost.session.rules`)
    decide   plugins are asked, if the core has no opinion
    confirm  the next hop is asked, or the users file, if nobody here has one
    proceed  the command takes effect, or
    refused  what a refusal undoes
    follow   plugins are told what came of it
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple

from gatepost.model.address import domain_key, local_key, without_tag
from gatepost.model.headers import Headers
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient, Session, Transaction
from gatepost.plugin.chain import Answer
from gatepost.session import dsn, rules
from gatepost.session import replies as r
from gatepost.session.callahead import confirmation
from gatepost.session.handover import HAND_OVER, taken
from gatepost.session.log import log_shadow
from gatepost.wire import events as e
from gatepost.wire.smtp.replies import START_MAIL_INPUT

if TYPE_CHECKING:
    from gatepost.session.engine import Engine


Result = Reply | Coroutine[Any, Any, Reply]


class Step(NamedTuple):
    """One row. `begin` returns the arguments of the hook's methods and of the other functions."""

    hook: str
    begin: "Callable[[Engine, Any], tuple[Any, ...]]"
    proceed: "Callable[..., Result]"
    rule: "Callable[..., Answer | None] | None" = None
    refused: "Callable[..., Awaitable[None]] | None" = None
    confirm: "Callable[..., Awaitable[Answer | None] | None] | None" = None


def _session(engine: "Engine", _event: e.Event) -> tuple[Any, ...]:
    return (engine.session,)


def _session_name(engine: "Engine", event: e.Ehlo | e.Helo) -> tuple[Any, ...]:
    return (engine.session, event.name)


def _session_text(engine: "Engine", event: e.Vrfy | e.Expn | e.Help) -> tuple[Any, ...]:
    return (engine.session, event.text)


def _session_unknown(engine: "Engine", event: e.Unknown) -> tuple[Any, ...]:
    return (engine.session, event.verb, event.text)


def _transaction(engine: "Engine", _event: e.Event) -> tuple[Any, ...]:
    return (engine.tx,)


def _greet(engine: "Engine", _answer: Answer | None, *_args: Any) -> Reply:
    return engine.setup.greetings[engine.session.protocol]


def _begin_mail(engine: "Engine", event: e.Mail) -> tuple[Any, ...]:
    session = engine.session
    session.transactions += 1
    tx = Transaction(
        f"{session.id}.{session.transactions}",
        session,
        event.path,
        event.params,
        engine.setup.clock.time(),
    )
    return tx, event.path


def _mail_rule(engine: "Engine", tx: Transaction, _sender: Any) -> Answer | None:
    answer = dsn.mail_rule(engine, tx.params) if tx.params else None
    return answer or rules.mail_rule(engine.setup, tx)


def _mail(engine: "Engine", _answer: Answer | None, tx: Transaction, _sender: Any) -> Reply:
    engine.tx = tx
    return r.SENDER_OK


def _begin_rcpt(engine: "Engine", event: e.Rcpt) -> tuple[Any, ...]:
    """Observe traps before anything can be decided: no order of plugins can hide a hit."""
    tx, setup, address = engine.tx, engine.setup, event.path
    assert tx is not None
    local, domain = local_key(address.local), domain_key(address.domain)
    user = without_tag(local, setup.subaddress)
    rcpt = Recipient(address, event.params, user, domain)
    key = f"{local}@{domain}"
    hit = setup.traps.table.match(address, key, key if user == local else f"{user}@{domain}")
    if hit is not None:
        engine.trap_hit(tx, hit)
    return tx, rcpt


def _rcpt_rule(engine: "Engine", tx: Transaction, rcpt: Recipient) -> Answer | None:
    answer = dsn.rcpt_rule(engine, rcpt.params) if rcpt.params else None
    return answer or rules.rcpt_rule(engine.setup, tx, rcpt)


def _confirm_rcpt(
    engine: "Engine", tx: Transaction, rcpt: Recipient
) -> Awaitable[Answer | None] | None:
    return confirmation(engine.setup.router, tx, rcpt) if engine.setup.confirms else None


def _rcpt(_engine: "Engine", _answer: Answer | None, tx: Transaction, rcpt: Recipient) -> Reply:
    rcpt.reply = r.RECIPIENT_OK
    tx.recipients.append(rcpt)
    return r.RECIPIENT_OK


def _data_rule(engine: "Engine", tx: Transaction) -> Answer | None:
    return rules.trap_rule(engine.setup.traps, tx)


def _data(engine: "Engine", _answer: Answer | None, tx: Transaction) -> Reply:
    if tx.trap_hits:
        log_shadow(engine, tx)
    engine.begin_message(tx)
    return START_MAIL_INPUT


def _said_or(usual: Reply, code: int, answer: Answer | None) -> Reply:
    """Return a plugin's text as a reply, or the usual reply."""
    text = answer.decision.text if answer is not None else None
    return usual if text is None else Reply(code, text, "2.0.0", close=usual.close)


def _text_or(usual: Reply, code: int) -> "Callable[..., Reply]":
    """Make a function that answers with a plugin's text, or as usual."""

    def proceed(_engine: "Engine", answer: Answer | None, *_args: Any) -> Reply:
        return _said_or(usual, code, answer)

    return proceed


_HELP = {"smtp": r.HELP, "lmtp": r.HELP_LMTP}


def _help(engine: "Engine", answer: Answer | None, *_args: Any) -> Reply:
    return _said_or(_HELP[engine.session.protocol], 214, answer)


def _helo(engine: "Engine", _answer: Answer | None, _session: Session, name: str) -> Result:
    return engine.greeted(name, engine.setup.helo, extended=False)


def _ehlo(engine: "Engine", _answer: Answer | None, _session: Session, name: str) -> Result:
    setup = engine.setup
    result = engine.greeted(name, setup.offers[engine.choice], extended=True)
    if engine.gate is not None or engine.auth is not None or "ehlo" in setup.plugins.busy:
        return _offer(engine, result)
    return result


async def _offer(engine: "Engine", greeted: Result) -> Reply:
    """Put together what EHLO offers this client; plugins may change it."""
    if not isinstance(greeted, Reply):
        await greeted
    result = engine.run(KEYWORDS, None)
    return result if isinstance(result, Reply) else await result


def _begin_keywords(engine: "Engine", _event: None) -> tuple[Any, ...]:
    return engine.session, list(engine.keywords)


def _keywords(
    engine: "Engine", _answer: Answer | None, _session: Session, keywords: list[str]
) -> Reply:
    return Reply(250, "\n".join((engine.setup.hostname, *keywords)))


async def _refused_rcpt(_engine: "Engine", reply: Reply, tx: Transaction, rcpt: Recipient) -> None:
    rcpt.reply = reply
    tx.refused.append(rcpt)


async def _refused_data(engine: "Engine", _reply: Reply, _tx: Transaction) -> None:
    await engine.reset()


def _begin_headers(engine: "Engine", headers: Headers) -> tuple[Any, ...]:
    return engine.tx, headers


def _keep(_engine: "Engine", _answer: Answer | None, *_args: Any) -> Reply:
    return r.OK


def _deliver(engine: "Engine", answer: Answer | None, tx: Transaction) -> Result:
    """Hand the message over, unless a plugin has taken it."""
    deliver = HAND_OVER[engine.session.protocol] if answer is None else taken
    return deliver(engine.setup, tx)


# DATA and the first BDAT
DATA = Step("data", _transaction, _data, _data_rule, _refused_data)

STEPS: dict[type[e.Event], Step] = {
    e.Connected: Step("connect", _session, _greet),
    e.Ehlo: Step("helo", _session_name, _ehlo),
    e.Helo: Step("helo", _session_name, _helo),
    e.Mail: Step("mail", _begin_mail, _mail, _mail_rule),
    e.Rcpt: Step("rcpt", _begin_rcpt, _rcpt, _rcpt_rule, _refused_rcpt, _confirm_rcpt),
    e.Data: DATA,
    e.Noop: Step("noop", _session, _text_or(r.OK, 250)),
    e.Vrfy: Step("vrfy", _session_text, _text_or(r.CANNOT_VERIFY, 250)),
    e.Help: Step("help", _session_text, _help),
    e.Quit: Step("quit", _session, _text_or(r.CLOSING, 221)),
    e.Unknown: Step("unknown_command", _session_unknown, _text_or(r.UNKNOWN_COMMAND, 250)),
}
# Not commands: the EHLO reply, the header block, the end of the message, its hand-over.
KEYWORDS = Step("ehlo", _begin_keywords, _keywords)
HEADERS = Step("headers", _begin_headers, _keep)
MESSAGE = Step("message", _transaction, _keep)
DELIVER = Step("deliver", _transaction, _deliver)
