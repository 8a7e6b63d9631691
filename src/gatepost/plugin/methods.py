"""The hook methods of a plugin, with their types.

A plugin overrides the methods it needs, each as `def` or `async def`. `observe_` methods run first
and decide nothing. `on_` methods return a decision, or None for no opinion. `after_` methods
receive the outcome. `on_lookup` answers a question of the core. The methods here are never called:
the host calls only overriding methods.

Arguments are positional, so that a plugin is free to name them.
"""

from collections.abc import Awaitable, Sequence
from typing import Literal

from gatepost.model.address import Address
from gatepost.model.auth_attempt import AuthAttempt
from gatepost.model.decision import Decision
from gatepost.model.endpoint import Endpoint
from gatepost.model.headers import Headers
from gatepost.model.lookup import Lookup
from gatepost.model.message_transaction import MessageTransaction
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient, Session, Transaction
from gatepost.plugin.chain import Outcome

# The result of a method, returned by `def` or awaited from `async def`.
Opinion = Decision | None | Awaitable[Decision | None]
Found = Lookup | None | Awaitable[Lookup | None]
Done = Awaitable[None] | None
# What a message is to be learned as.
Lesson = Literal["spam", "ham"]


class HookMethods:
    """Every method that a plugin can have for a hook or a notification."""

    def observe_connect(self, session: Session, /) -> Done:
        """Observe a client before the greeting."""

    def on_connect(self, session: Session, /) -> Opinion:
        """Decide whether to greet a client."""

    def after_connect(self, session: Session, outcome: Outcome, /) -> Done:
        """Receive the outcome of a connection."""

    def observe_helo(self, session: Session, name: str, /) -> Done:
        """Observe HELO, EHLO or LHLO."""

    def on_helo(self, session: Session, name: str, /) -> Opinion:
        """Decide about HELO, EHLO or LHLO (`session.extended`); `name` is its argument."""

    def after_helo(self, session: Session, name: str, outcome: Outcome, /) -> Done:
        """Receive the outcome of HELO, EHLO or LHLO."""

    def observe_ehlo(self, session: Session, keywords: list[str], /) -> Done:
        """Observe the keywords of the reply to EHLO."""

    def on_ehlo(self, session: Session, keywords: list[str], /) -> Opinion:
        """Decide about the reply to EHLO; `keywords` can be changed in place."""

    def after_ehlo(self, session: Session, keywords: list[str], outcome: Outcome, /) -> Done:
        """Receive the reply to EHLO."""

    def observe_auth(self, session: Session, attempt: AuthAttempt, /) -> Done:
        """Observe an AUTH attempt."""

    def on_auth(self, session: Session, attempt: AuthAttempt, /) -> Opinion:
        """Accept or refuse the credentials of a client."""

    def after_auth(self, session: Session, attempt: AuthAttempt, outcome: Outcome, /) -> Done:
        """Receive the outcome of an AUTH attempt."""

    def observe_mail(self, tx: Transaction, sender: Address, /) -> Done:
        """Observe a sender."""

    def on_mail(self, tx: Transaction, sender: Address, /) -> Opinion:
        """Decide about a sender; the null reverse-path is false."""

    def after_mail(self, tx: Transaction, sender: Address, outcome: Outcome, /) -> Done:
        """Receive the outcome of MAIL."""

    def observe_rcpt(self, tx: Transaction, rcpt: Recipient, /) -> Done:
        """Observe every recipient, before any decision."""

    def on_rcpt(self, tx: Transaction, rcpt: Recipient, /) -> Opinion:
        """Decide about a recipient that the core rules accept."""

    def after_rcpt(self, tx: Transaction, rcpt: Recipient, outcome: Outcome, /) -> Done:
        """Receive the outcome of RCPT."""

    def observe_data(self, tx: Transaction, /) -> Done:
        """Observe the complete envelope."""

    def on_data(self, tx: Transaction, /) -> Opinion:
        """Decide about the envelope, before the content is sent."""

    def after_data(self, tx: Transaction, outcome: Outcome, /) -> Done:
        """Receive the outcome of DATA or the first BDAT."""

    def observe_headers(self, tx: MessageTransaction, headers: Headers, /) -> Done:
        """Observe the header block."""

    def on_headers(self, tx: MessageTransaction, headers: Headers, /) -> Opinion:
        """Decide about the header block."""

    def after_headers(self, tx: MessageTransaction, headers: Headers, outcome: Outcome, /) -> Done:
        """Receive the decision about the header block."""

    def observe_message(self, tx: MessageTransaction, /) -> Done:
        """Observe the complete message."""

    def on_message(self, tx: MessageTransaction, /) -> Opinion:
        """Decide about the complete message; header fields can be added."""

    def after_message(self, tx: MessageTransaction, outcome: Outcome, /) -> Done:
        """Receive the decision about the message."""

    def observe_deliver(self, tx: MessageTransaction, /) -> Done:
        """Observe a message before its delivery."""

    def on_deliver(self, tx: MessageTransaction, /) -> Opinion:
        """Deliver the message: `accept()` means that the plugin has stored it."""

    def after_deliver(self, tx: MessageTransaction, outcome: Outcome, /) -> Done:
        """Receive the outcome of the delivery."""

    def observe_unknown_command(self, session: Session, verb: str, text: str, /) -> Done:
        """Observe an unrecognised command."""

    def on_unknown_command(self, session: Session, verb: str, text: str, /) -> Opinion:
        """Reply to a command that the server does not recognise."""

    def after_unknown_command(
        self, session: Session, verb: str, text: str, outcome: Outcome, /
    ) -> Done:
        """Receive the outcome of an unrecognised command."""

    def observe_command(self, session: Session, verb: str, text: str, /) -> Done:
        """Observe a command that a plugin adds."""

    def on_command(self, session: Session, verb: str, text: str, /) -> Opinion:
        """Reply to a command of `commands` of this plugin."""

    def after_command(self, session: Session, verb: str, text: str, outcome: Outcome, /) -> Done:
        """Receive the outcome of a command that a plugin adds."""

    def observe_vrfy(self, session: Session, text: str, /) -> Done:
        """Observe VRFY."""

    def on_vrfy(self, session: Session, text: str, /) -> Opinion:
        """Reply to VRFY."""

    def after_vrfy(self, session: Session, text: str, outcome: Outcome, /) -> Done:
        """Receive the outcome of VRFY."""

    def observe_help(self, session: Session, text: str, /) -> Done:
        """Observe HELP."""

    def on_help(self, session: Session, text: str, /) -> Opinion:
        """Reply to HELP."""

    def after_help(self, session: Session, text: str, outcome: Outcome, /) -> Done:
        """Receive the outcome of HELP."""

    def observe_noop(self, session: Session, text: str, /) -> Done:
        """Observe NOOP."""

    def on_noop(self, session: Session, text: str, /) -> Opinion:
        """Reply to NOOP; `text` is its argument."""

    def after_noop(self, session: Session, text: str, outcome: Outcome, /) -> Done:
        """Receive the outcome of NOOP."""

    def observe_quit(self, session: Session, /) -> Done:
        """Observe QUIT."""

    def on_quit(self, session: Session, /) -> Opinion:
        """Reply to QUIT."""

    def after_quit(self, session: Session, outcome: Outcome, /) -> Done:
        """Receive the outcome of QUIT."""

    def after_any(
        self, hook: str, session: Session, tx: Transaction | None, outcome: Outcome, /
    ) -> Done:
        """Receive the outcome of every hook; `hook` is its name."""

    def on_lookup(self, tx: Transaction, rcpt: Recipient, /) -> Found:
        """Return whether a recipient exists: `local()`, `unknown()`, or None for no opinion."""

    def on_own_mail(self, message: bytes, /) -> Sequence[tuple[str, str]] | None:
        """Return header fields, as names and values, for a DSN or a submitted message."""

    def on_reset(self, tx: Transaction, /) -> Done:
        """Clean up after a transaction that ended without a message."""

    def on_delivered(self, tx: MessageTransaction, /) -> Done:
        """Act on a message that was accepted and delivered."""

    def on_disconnect(self, session: Session, /) -> Done:
        """Clean up after a connection."""

    def on_learn(self, tx: MessageTransaction, kind: Lesson, /) -> Done:
        """Learn a message as "spam" or "ham", for an administrator; raise if that fails."""

    def on_fault(self, session: Session, tx: Transaction | None, reply: Reply, /) -> Done:
        """Record a command or message that the protocol refuses."""

    def on_timeout(self, session: Session, limit: str, /) -> Done:
        """Record a time-out; `limit` is its key in `[limits]`."""

    def on_limit(self, peer: Endpoint, limit: str, reply: Reply, /) -> Done:
        """Record a connection that is refused or ended; `limit` is the key in `[limits]`."""

    def on_tls(self, session: Session, /) -> Done:
        """Record a TLS handshake; `session.tls` is set."""

    def on_tls_failed(self, session: Session, problem: str, /) -> Done:
        """Record a TLS handshake or record that failed."""

    def on_early_talker(self, session: Session, reply: Reply, /) -> Done:
        """Record a client that sent data before the greeting."""
