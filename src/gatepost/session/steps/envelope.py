"""The steps of the envelope: MAIL and RCPT."""

from typing import Final

from gatepost.model.address import Address, domain_key, local_key, without_tag
from gatepost.model.facts import keep, set_fact
from gatepost.model.reply import Reply
from gatepost.model.results import Results
from gatepost.model.session import Recipient, Transaction
from gatepost.plugin.chain import Answer
from gatepost.plugin.hooks import accepting
from gatepost.session import replies as r
from gatepost.session import rules
from gatepost.session.conversation import Conversation
from gatepost.session.rules import Ruling
from gatepost.session.steps import dsn
from gatepost.session.steps.callahead import call_ahead
from gatepost.session.steps.step import Question, Step
from gatepost.session.steps.trapped import after_call_ahead, answer_rcpt, is_as_user
from gatepost.session.traps.verdict import add, hit_of
from gatepost.wire import events as e


def _begin_mail(talk: Conversation, event: e.Mail) -> tuple[Transaction, Address]:
    session = talk.session
    set_fact(session, "transactions", session.transactions + 1)
    tx = Transaction(
        f"{session.id}.{session.transactions}",
        session,
        event.path,
        event.params,
        talk.setup.clock.time(),
        found=None if session.found is None else Results(session.found),
        acting=talk.actions(),
    )
    return tx, event.path


def _mail_rule(talk: Conversation, tx: Transaction, _sender: Address) -> Answer | None:
    answer = dsn.mail_rule(talk, tx.params) if tx.params and talk.dialect.delivers else None
    return answer or talk.dialect.mail_rule(talk.setup, tx)


def _mail(talk: Conversation, answer: Answer | None, tx: Transaction, _sender: Address) -> Reply:
    talk.tx = tx
    return r.SENDER_OK if answer is None else accepting(r.SENDER_OK, answer.decision)


def _begin_rcpt(talk: Conversation, event: e.Rcpt) -> tuple[Transaction, Recipient]:
    """Look traps up before anything is decided: no order of plugins can hide a hit."""
    tx, setup, address = talk.tx, talk.setup, event.path
    assert tx is not None
    local, domain = local_key(address.local), domain_key(address.domain)
    user = without_tag(local, setup.subaddress)
    rcpt = Recipient(address, event.params, user, domain)
    key = f"{local}@{domain}"
    user_key = key if user == local else f"{user}@{domain}"
    hit = setup.traps.table.match(address, key, user_key, tx.received)
    if tx.acting is not None:
        tx.acting.current = rcpt
    if event.refusal is not None:
        set_fact(rcpt, "mta_reply", event.refusal)
        hit = hit if rules.is_unknown_to_mta(setup, rcpt) else None
    if hit is not None:
        add(setup.traps, tx, hit)
    return tx, rcpt


def _rcpt_rule(talk: Conversation, tx: Transaction, rcpt: Recipient) -> Ruling:
    answer = dsn.rcpt_rule(talk, rcpt.params) if rcpt.params and talk.dialect.delivers else None
    if answer is not None:
        return answer
    usual = talk.dialect.rcpt_rule(talk.setup, tx, rcpt)
    if usual is None and not tx.trap_hits:
        return None
    return answer_rcpt(talk.setup, tx, rcpt, usual)


def _ask_next_hop(talk: Conversation, tx: Transaction, rcpt: Recipient) -> Question | None:
    """Ask the next hop, but not about a trap that is to be accepted."""
    setup = talk.setup
    if not (setup.calls_ahead and talk.dialect.delivers):
        return None
    hit = hit_of(tx, rcpt)
    if hit is not None and is_as_user(setup.traps, tx, hit):
        return None
    question = call_ahead(setup.router, tx, rcpt)
    return None if question is None else after_call_ahead(setup, tx, rcpt, question)


def _rcpt(_talk: Conversation, answer: Answer | None, tx: Transaction, rcpt: Recipient) -> Reply:
    reply = r.RECIPIENT_OK if answer is None else accepting(r.RECIPIENT_OK, answer.decision)
    set_fact(rcpt, "reply", reply)
    if tx.acting is None:
        keep(tx, "recipients", rcpt)
    else:
        tx.acting.accept(tx, rcpt)
    return reply


def _refused_rcpt(_talk: Conversation, reply: Reply, tx: Transaction, rcpt: Recipient) -> None:
    set_fact(rcpt, "reply", reply)
    keep(tx, "refused", rcpt)


MAIL: Final = Step("mail", _begin_mail, _mail, _mail_rule)
RCPT: Final = Step("rcpt", _begin_rcpt, _rcpt, _rcpt_rule, _refused_rcpt, _ask_next_hop)
