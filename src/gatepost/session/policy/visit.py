"""One transaction of a mail server that asks, and the session that it belongs to.

Theory of operation
-------------------
A mail server sends a request for each command of its client, and each names the transaction
(`instance`). `answer` takes the session through the steps that the request shows and that have not
been taken yet: a request about RCPT also shows the connection, HELO and MAIL. The reply to the
last step is the answer.

A refusal other than that of a recipient is final: every later request about the transaction gets
the same answer. After DATA the transaction is closed, because its content is not seen here.

A transaction that is first asked about at DATA began before this process did, or Postfix does not
ask at RCPT. It is decided if the mail server names its only recipient, and passed on if not.
"""

from collections.abc import Iterator

from gatepost.model.address import AddressError
from gatepost.model.facts import set_fact
from gatepost.model.reply import Reply
from gatepost.session import replies as r
from gatepost.session.engine import Engine
from gatepost.session.policy import request as facts
from gatepost.wire import events as e
from gatepost.wire.policy import UNREADABLE, HoldReply
from gatepost.wire.smtp.replies import MAIL_SYNTAX, RCPT_SYNTAX

# The address of the mail server, and its name for the transaction.
Key = tuple[str, str]


class Visit:
    """The transaction `key` of the mail server, in the session of `engine`.

    `used` is when it was last asked about. `busy` is true while a request is being answered,
    `connected` once the session's connection is accepted. `decided` is the answer to all further
    requests, None before it.
    """

    __slots__ = ("_named", "busy", "connected", "decided", "engine", "key", "used")

    def __init__(self, engine: Engine, key: Key, *, connected: bool = False) -> None:
        self.engine = engine
        self.key = key
        self.connected = connected
        self.busy = False
        self.decided: Reply | None = None
        self.used = 0.0
        # The last recipient and the reply: the mail server may ask twice about one.
        self._named: tuple[str, Reply] | None = None

    async def answer(self, attributes: facts.Attributes) -> Reply:
        """Return the reply to the command of the client that a request is about."""
        if self.busy:
            return UNREADABLE
        self.busy = True
        try:
            return self._earlier(attributes) or await self._answer(attributes)
        finally:
            self.busy = False

    def _earlier(self, attributes: facts.Attributes) -> Reply | None:
        """Return the decision, None before it.

        A recipient after DATA begins again: another rule of the mail server has refused DATA.
        """
        decided = self.decided
        if decided is None or decided.code >= 400 or facts.stage(attributes) != facts.RCPT:
            return decided
        self.decided = self._named = None
        return None

    async def _answer(self, attributes: facts.Attributes) -> Reply:
        recipient = attributes.get("recipient", "")
        at = facts.stage(attributes)
        if at == facts.RCPT and self._named is not None and self._named[0] == recipient:
            return self._named[1]
        if at == facts.DATA and self._named is None and not recipient:
            return r.OK
        self._update(attributes)
        reply = r.OK
        try:
            for event in self._events(attributes):
                reply = await self._handle(event)
                if reply.code >= 400:
                    return self._refused(event, reply, recipient)
                self.connected = True
        except AddressError:
            return self._malformed()
        if at == facts.RCPT:
            reply = self._held(reply)
            self._named = (recipient, reply)
        elif at == facts.DATA:
            reply = self._held(reply)
            self._passed_on()
            self.decided = reply
        return reply

    def _held(self, reply: Reply) -> Reply:
        """Return the reply that lets the mail server hold the message, if a plugin holds it.

        The mail server need not ask again at DATA, so it is the answer about each recipient.
        """
        tx = self.engine.talk.tx
        held = None if tx is None or tx.acting is None else tx.acting.held
        return reply if held is None else HoldReply(reply, held.reason)

    async def _handle(self, event: e.Event) -> Reply:
        result = self.engine.handle(event)
        if result is not None and not isinstance(result, Reply):
            result = await result
        assert result is not None
        return result

    def _update(self, attributes: facts.Attributes) -> None:
        """Note what is no command that is handled here: STARTTLS, AUTH, the id in the queue."""
        talk, tls = self.engine.talk, facts.tls(attributes)
        session = talk.session
        if talk.tx is not None:
            set_fact(talk.tx, "queue_id", facts.queue_id(attributes))
        if tls is not None and session.tls is None:
            self.engine.start_tls(tls)
        set_fact(session, "auth", facts.login(attributes))

    def _events(self, attributes: facts.Attributes) -> Iterator[e.Event]:
        """Yield the commands that were not handled yet; raises `AddressError`."""
        at = facts.stage(attributes) or 0
        talk = self.engine.talk
        if not self.connected:
            yield e.Connected()
        hello = facts.hello(attributes)
        if at >= facts.HELO and hello is not None and hello.name != talk.session.helo:
            yield hello
        if at >= facts.MAIL and talk.tx is None:
            yield facts.mail(attributes)
        if at == facts.RCPT or (at == facts.DATA and self._named is None):
            yield facts.rcpt(attributes)
        if at == facts.DATA:
            yield e.Data()

    def _refused(self, event: e.Event, reply: Reply, recipient: str) -> Reply:
        if type(event) is e.Rcpt:
            self._named = (recipient, reply)
        else:
            self.decided = reply
        return reply

    def _malformed(self) -> Reply:
        """Refuse an address that SMTP mode would refuse too."""
        talk = self.engine.talk
        return talk.refuse(MAIL_SYNTAX if talk.tx is None else RCPT_SYNTAX)

    def _passed_on(self) -> None:
        """Close the transaction: the mail server receives the content, and nothing follows."""
        talk = self.engine.talk
        assert talk.tx is not None
        reply = talk.dialect.hand_over(talk.setup, talk.tx)
        assert isinstance(reply, Reply)
        set_fact(talk.session, "messages", talk.session.messages + 1)
        talk.recorder.accepted(talk.tx, reply)
        talk.close(talk.tx)
