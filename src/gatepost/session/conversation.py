"""The state of one session: facts, the open transaction, and what ends it.

The steps of `gatepost.session` work on a `Conversation`; none of it is visible to plugins but
`session` and `tx`.
"""

import time
from collections.abc import Coroutine
from typing import Any, Protocol

from gatepost.model.actions import Actions
from gatepost.model.facts import set_fact
from gatepost.model.message import Message
from gatepost.model.reply import Reply
from gatepost.model.session import Hold, Session, Transaction
from gatepost.session.content.collector import HeaderCollector
from gatepost.session.content.scan import HeaderScan
from gatepost.session.dialect import Dialect
from gatepost.session.setup import Setup
from gatepost.session.traps.unknown import count_unknown
from gatepost.session.traps.verdict import was_shadowed
from gatepost.wire.events import Auth, AuthResponse

Result = Reply | Coroutine[Any, Any, Reply]


class Admission(Protocol):
    """Counts clients; only connections that may send XCLIENT have one."""

    def readmit(self, session: Session, address: str | None) -> Reply | None:
        """Count the connection as this session's client's; return a refusal if over a limit.

        `address` is ADDR as given, None if it was not given. A client that was named, even if its
        address is unknown, sends the next XCLIENT in its own name.
        """


class AuthExchange(Protocol):
    """The state of AUTH on one connection, see `gatepost.session.steps.authentication`."""

    def keyword(self, session: Session) -> str:
        """Return the EHLO keyword, "" if AUTH cannot be used now."""

    def begin(self, talk: "Conversation", event: Auth) -> Result:
        """Answer AUTH."""

    def respond(self, talk: "Conversation", event: AuthResponse) -> Result:
        """Answer the response to a challenge."""


class Conversation:
    """One client's session.

    `tx` is the open transaction. `delivering` is true from when a target gets the message until all
    plugins are notified: the coroutine must not be cancelled then. `offers_tls` is true if the
    client may send STARTTLS; `admission` is None unless it may send XCLIENT; `auth` is None unless
    it may log in. `completes` is whether a message without Date or Message-ID gets it after a
    login. `detailed` is the recorder's. `after_any` are the methods that follow every hook, None
    without any. `asks_for_times` is whether one of the two gets the plugins that were asked, at
    every hook. `notified` are the notifications for which plugins have methods. While content
    arrives, `headers` collects the header block if a plugin reads it, and `refusal` is the reply to
    the end of the message once it is certain. `scan` reads the header block of every message until
    its end. `held` is why the message is held instead of refused, None if it is not. `errors` and
    `idle_commands` count towards the limits of their names, and start again with each message.
    `began` is the time at which plugins were asked about the hook that is being decided, else 0.
    `unrecorded` are the ended transactions whose trap hits are not recorded yet.
    """

    __slots__ = (
        "admission",
        "after_any",
        "asks_for_times",
        "auth",
        "began",
        "chains",
        "completes",
        "delivering",
        "detailed",
        "dialect",
        "errors",
        "headers",
        "held",
        "idle_commands",
        "notified",
        "offers_tls",
        "recorder",
        "refusal",
        "scan",
        "session",
        "setup",
        "tx",
        "unrecorded",
    )

    def __init__(self, setup: Setup, session: Session, dialect: Dialect) -> None:
        self.setup = setup
        self.session = session
        self.dialect = dialect
        self.recorder = setup.recorder
        self.detailed = setup.recorder.detailed
        self.chains = setup.plugins.busy
        self.notified = setup.plugins.notified
        self.after_any = setup.plugins.after_any
        self.asks_for_times = self.detailed or self.after_any is not None
        self.tx: Transaction | None = None
        self.delivering = False
        self.offers_tls = False
        self.admission: Admission | None = None
        self.auth: AuthExchange | None = None
        self.completes = False
        self.headers: HeaderCollector | None = None
        self.scan: HeaderScan | None = None
        self.refusal: Reply | None = None
        self.held: Hold | None = None
        self.errors = 0
        self.idle_commands = 0
        self.began = 0.0
        self.unrecorded: list[Transaction] = []

    @property
    def reference(self) -> str:
        """The id in a refusal: the transaction's, or the session's."""
        return self.session.id if self.tx is None else self.tx.id

    @property
    def message(self) -> Message | None:
        """Return the message that is being received, if there is one."""
        return None if self.tx is None else self.tx.message

    def take_seconds(self) -> float:
        """Return how long the current hook has taken; 0 if no plugin was asked, and after that."""
        began, self.began = self.began, 0.0
        return time.monotonic() - began if began else 0.0

    def refuse(self, reply: Reply) -> Reply:
        """Record a refusal of the protocol; return its reply with the reference.

        A reply with a reference is returned as it is: it was recorded when it got that.
        """
        if reply.reference:
            return reply
        reply = reply.with_reference(self.reference)
        self.recorder.command_fault(self.session, self.tx, reply)
        return reply

    def begin_message(self, tx: Transaction) -> None:
        """Expect content."""
        setup, limits = self.setup, self.setup.limits
        utf8 = "SMTPUTF8" in tx.params
        message = Message(limits.memory_per_message, setup.folder, limits.message_size, utf8)
        set_fact(tx, "message", message)
        self.refusal, self.held = None, None
        read = "headers" in self.chains
        self.headers = HeaderCollector(limits.header_size) if read else None
        completes = self.completes and self.session.auth is not None
        self.scan = HeaderScan(limits.hops, setup.hostname, tx.recipients, completes)

    def actions(self) -> Actions | None:
        """Return what plugins do in a new transaction, None if none of them has a hook."""
        if not self.chains:
            return None
        acting = Actions(self.setup.destinations, each=self.dialect.replies_each)
        if self.session.held is not None:
            acting.hold(self.session.held)
        return acting

    async def reset(self) -> None:
        """Drop the open transaction, if there is one, and notify plugins."""
        tx = self.tx
        if tx is not None:
            self.close(tx)
            await self.notify("reset", tx)

    def reset_and(self, reply: Reply) -> Result:
        """Drop the open transaction, if there is one; return the reply, or what ends with it."""
        tx = self.tx
        if tx is not None:
            self.close(tx)
            if self.notifies("reset"):
                return self._notify_and(reply, tx)
        return reply

    async def _notify_and(self, reply: Reply, tx: Transaction) -> Reply:
        await self.notify("reset", tx)
        return reply

    def close(self, tx: Transaction) -> None:
        """End the transaction and free its content."""
        self.tx = None
        self.headers = None
        self.scan = None
        message, acting = tx.message, tx.acting
        if acting is not None:
            acting.sealed = True
        if message is None and tx.refused:
            count_unknown(self.setup.traps, tx, self.setup.is_local)
        if tx.trap_hits:
            self.unrecorded.append(tx)
        self.recorder.transaction_ended(tx)
        if message is not None:
            message.close()

    def record_traps(self) -> None:
        """Record the trap hits of ended transactions.

        Security: not while a command is answered. The time of a reply would show the hit.
        """
        ended, self.unrecorded = self.unrecorded, []
        for tx in ended:
            self.recorder.traps_hit(tx)
            if tx.message is not None and any(map(was_shadowed, tx.trap_hits)):
                self.recorder.trap_shadowed(tx)

    def notifies(self, notification: str) -> bool:
        """Return whether a plugin has the method of a notification."""
        return notification in self.notified

    async def notify(self, notification: str, fact: Transaction | Session) -> None:
        """Run a notification of plugins."""
        chain = self.setup.plugins.notifications[notification]
        if chain.followers:
            await chain.follow(fact)
