"""The steps of the envelope: MAIL and RCPT."""

from gatepost.model.address import Address, domain_key, local_key, without_tag
from gatepost.model.facts import keep, set_fact
from gatepost.model.reply import Reply
from gatepost.model.results import Results
from gatepost.model.session import Recipient, Transaction
from gatepost.plugin.chain import Answer
from gatepost.plugin.hooks import accepting
from gatepost.session import replies as r
from gatepost.session import rules
from gatepost.session.answers import Ruling
from gatepost.session.conversation import Conversation, Result
from gatepost.session.steps import dsn
from gatepost.session.steps.callahead import call_ahead
from gatepost.session.steps.step import Question, Step, run
from gatepost.session.steps.trapped import after_call_ahead, answer_rcpt, is_as_user
from gatepost.session.traps.verdict import add, hit_of
from gatepost.wire import events as e


class _Mail(Step):
    """MAIL: the transaction begins if the sender is accepted."""

    __slots__ = ("sender", "tx")

    def __init__(self, talk: Conversation, event: e.Mail) -> None:
        super().__init__(talk, "mail")
        session = talk.session
        number = session.transactions + 1
        set_fact(session, "transactions", number)
        self.sender = event.path
        self.tx = Transaction(
            f"{session.id}.{number}",
            session,
            event.path,
            event.params,
            talk.setup.clock.time(),
            found=None if session.found is None else Results(session.found),
            acting=talk.actions(),
        )

    @property
    def args(self) -> tuple[Transaction, Address]:
        return self.tx, self.sender

    def rule(self) -> Ruling:
        talk, tx = self.talk, self.tx
        answer = dsn.mail_rule(talk, tx.params) if tx.params and talk.dialect.delivers else None
        return answer or talk.dialect.mail_rule(talk.setup, tx)

    def proceed(self, answer: Answer | None) -> Reply:
        self.talk.tx = self.tx
        return r.SENDER_OK if answer is None else accepting(r.SENDER_OK, answer.decision)


class _Rcpt(Step):
    """RCPT: the recipient joins the transaction, whether it is accepted or not."""

    __slots__ = ("rcpt", "tx")

    def __init__(self, talk: Conversation, event: e.Rcpt) -> None:
        """Look traps up before anything is decided: no order of plugins can hide a hit."""
        super().__init__(talk, "rcpt")
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
        self.tx = tx
        self.rcpt = rcpt

    @property
    def args(self) -> tuple[Transaction, Recipient]:
        return self.tx, self.rcpt

    def rule(self) -> Ruling:
        talk, tx, rcpt = self.talk, self.tx, self.rcpt
        answer = dsn.rcpt_rule(talk, rcpt.params) if rcpt.params and talk.dialect.delivers else None
        if answer is not None:
            return answer
        usual = talk.dialect.rcpt_rule(talk.setup, tx, rcpt)
        if usual is None and not tx.trap_hits:
            return None
        return answer_rcpt(talk.setup, tx, rcpt, usual)

    def ask(self) -> Question | None:
        """Ask the next hop, but not about a trap that is to be accepted."""
        setup, tx, rcpt = self.talk.setup, self.tx, self.rcpt
        if not (setup.calls_ahead and self.talk.dialect.delivers):
            return None
        hit = hit_of(tx, rcpt)
        if hit is not None and is_as_user(setup.traps, tx, hit):
            return None
        question = call_ahead(setup.router, tx, rcpt)
        return None if question is None else after_call_ahead(setup, tx, rcpt, question)

    def proceed(self, answer: Answer | None) -> Reply:
        tx, rcpt = self.tx, self.rcpt
        reply = r.RECIPIENT_OK if answer is None else accepting(r.RECIPIENT_OK, answer.decision)
        set_fact(rcpt, "reply", reply)
        if tx.acting is None:
            keep(tx, "recipients", rcpt)
        else:
            tx.acting.accept(tx, rcpt)
        return reply

    def refused(self, reply: Reply) -> Reply:
        set_fact(self.rcpt, "reply", reply)
        keep(self.tx, "refused", self.rcpt)
        return reply


def mail(talk: Conversation, event: e.Mail) -> Result:
    """Decide about a sender."""
    return run(_Mail(talk, event))


def rcpt(talk: Conversation, event: e.Rcpt) -> Result:
    """Decide about a recipient."""
    return run(_Rcpt(talk, event))
