"""The one interface that every fact of a connection reaches: a method for each.

Log lines (`gatepost.session.log`) and `gatepost try` are implementations. A recorder is called in
the event loop, between two replies: it must not wait, and it should not raise. Facts of
connections that never become a session are included.

Every reply of a refusal ends with a reference, which its fact has too: `reply.reference`.

Arguments are the session's own objects, not copies. They change after the call: a recorder that
keeps facts copies what it needs. One that only needs what has ended takes records: `sinks`. The
results of the queue are those of `gatepost.queue.recorder`.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from gatepost.delivery.target import DeliveryError
from gatepost.ledger.records import Record
from gatepost.model.edits import Edit
from gatepost.model.endpoint import Endpoint
from gatepost.model.message import Message
from gatepost.model.reply import Reply
from gatepost.model.session import Change, Recipient, Session, Transaction
from gatepost.plugin.chain import Answer, Asked
from gatepost.queue.recorder import DeliveryRecorder


class Decided(msgspec.Struct, frozen=True, eq=False):
    """The decision of one hook.

    `args` are the arguments of the hook's methods. `answer` is the decision and its author, None
    if neither the core nor a plugin had an opinion. `asked` lists the plugins that were asked, in
    order; it is empty unless the recorder is `detailed`. `seconds` is how long plugins took.
    """

    hook: str
    args: tuple[Any, ...]
    answer: Answer | None
    asked: Sequence[Asked] = ()
    seconds: float = 0.0


class Recorder(DeliveryRecorder):
    """Receives every fact and does nothing with it: override the methods you need.

    With `detailed`, `decided` is called for every hook of a session and includes the time that each
    plugin took. Otherwise it is called only if there is an answer, and no time is measured.
    """

    detailed = False

    @property
    def sinks(self) -> Sequence[Callable[[Record], None]]:
        """The functions that take the records of connections, transactions and deliveries."""
        return ()

    # Connections

    def connection_opened(self, session: Session) -> None:
        """Record a client that was admitted, before its greeting."""

    def connection_refused(self, ref: str, peer: Endpoint, limit: str, reply: Reply) -> None:
        """Record a connection over a limit; `limit` is its key in `[limits]`, or "shutdown"."""

    def proxy_refused(self, ref: str, peer: Endpoint, problem: str) -> None:
        """Record a connection that was closed because its PROXY header is missing or invalid."""

    def early_talker(self, session: Session, reply: Reply) -> None:
        """Record a client that sent data before the greeting."""

    def tls_established(self, session: Session) -> None:
        """Record a completed TLS handshake."""

    def tls_failed(self, session: Session, problem: str) -> None:
        """Record a TLS handshake or record that failed."""

    def timed_out(
        self, session: Session, tx: Transaction | None, limit: str, reply: Reply | None
    ) -> None:
        """Record a time-out; `limit` is its key in `[limits]`. No reply is sent in a handshake."""

    def connection_closed(
        self, session: Session, received: int, sent: int, *, after_quit: bool
    ) -> None:
        """Record the end of a connection; `received` and `sent` are octets without TLS."""

    # Commands

    def command_fault(self, session: Session, tx: Transaction | None, reply: Reply) -> None:
        """Record a command or message that the protocol refuses, without a rule or a plugin.

        It is malformed, out of sequence, not implemented or not offered.
        """

    def limit_reached(
        self, session: Session, tx: Transaction | None, limit: str, reply: Reply
    ) -> None:
        """Record a session that the server ends.

        `limit` is the key in `[limits]` of too many errors, idle commands or failed logins, or
        "shutdown", or "administrator".
        """

    def decided(
        self, session: Session, tx: Transaction | None, decided: Decided, reply: Reply
    ) -> None:
        """Record the outcome of a hook."""

    def looked_up(
        self, tx: Transaction, rcpt: Recipient, answer: Answer | None, asked: Sequence[Asked]
    ) -> None:
        """Record the answer of plugins about a recipient, only with `detailed`.

        `asked` lists the plugins that were asked, in order; it is empty if the answer was cached,
        or if another session has asked at the same time.
        """

    def authenticated(self, session: Session) -> None:
        """Record a client that has logged in; `session.auth` is set."""

    def session_failed(self, session: Session, tx: Transaction | None, reply: Reply) -> None:
        """Record an internal error; called while the exception is being handled."""

    # Messages

    def traps_hit(self, tx: Transaction) -> None:
        """Record the trap hits of a transaction that has ended, at most some seconds later."""

    def trap_shadowed(self, tx: Transaction) -> None:
        """Record a message that shadow mode let pass in spite of its traps."""

    def storage_failed(self, tx: Transaction, problem: str) -> None:
        """Record content that could not be stored."""

    def edited(self, tx: Transaction, message: Message) -> None:
        """Record a message that plugins have edited; it is accepted next."""

    def would_have_edited(self, tx: Transaction, edits: Sequence[Edit]) -> None:
        """Record edits of plugins in shadow mode, without effect; the message is accepted next."""

    def recipients_changed(self, tx: Transaction, changes: Sequence[Change]) -> None:
        """Record the changes of recipients and delivery by plugins; the message is accepted next.

        A change whose kind begins with "not" is that of a plugin in shadow mode.
        """

    def submitted(self, tx: Transaction, plugin: str, size: int) -> None:
        """Record a message that a plugin has put into the queue."""

    def accepted(self, tx: Transaction, reply: Reply) -> None:
        """Record a message that was answered 2xx."""

    def not_delivered(self, tx: Transaction, failures: Mapping[Recipient, DeliveryError]) -> None:
        """Record recipients that no target accepted."""

    def transaction_ended(self, tx: Transaction) -> None:
        """Record the end of a transaction, whatever ended it; its content is still there."""


def implements(recorder: Recorder, fact: str) -> bool:
    """Return whether a recorder does anything with a fact, the name of its method."""
    return fact in vars(recorder) or getattr(type(recorder), fact) is not getattr(Recorder, fact)


def forward_others(outer: Recorder, inner: Recorder) -> None:
    """Let a recorder pass every fact to another for which its class has no method.

    In place of a subclass: a compiled class has none outside of the compiled modules.
    """
    for name, _ in inspect.getmembers(Recorder, inspect.isfunction):
        if name not in vars(type(outer)):
            setattr(outer, name, getattr(inner, name))
