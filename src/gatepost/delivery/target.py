"""The contract of delivery targets. `Target`, `Delivery` and `DeliveryError` are public API.

A target takes a message for the recipients of a delivery. When `deliver` has returned, the message
is safe for every recipient that it did not report as failed: the server then replies 250 and is
responsible for it (RFC 5321 section 6.1). For a failed recipient the target keeps nothing.

See docs/delivery.md, "Write a target".
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self, TypeAlias

import msgspec

from gatepost.model.message import Message
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient, Transaction
from gatepost.net.resolver import DnsResolver, Resolver


class Delivery(msgspec.Struct, frozen=True, eq=False):
    """One message for one target.

    `recipients` are the recipients of `transaction` that the target serves; there is at least one.
    `message` is read by iterating over it. Several readers may read at the same time, in threads
    too. Nothing changes or closes it before `deliver` has returned.

    `dsn_delegated` is filled by the target: the recipients for which the next hop has accepted the
    duty to send a DSN for the success (RFC 3461 section 5.2.2). The server sends none for them.
    """

    transaction: Transaction
    recipients: list[Recipient]
    message: Message
    dsn_delegated: set[Recipient] = set()

    @property
    def is_first(self) -> bool:
        """Return whether it is the first message of its connection."""
        return self.transaction.session.messages == 0


class DeliveryError(Exception):
    """The message was not taken, and the target keeps nothing of it.

    `text` is for the client, so it must not contain paths or secrets. `detail` is for the log.
    `permanent` is true if another attempt would fail in the same way: the client gets 554 5.3.0,
    otherwise 451 4.3.0. `reply` is the complete reply for the client, if it must be another one,
    such as that of a next hop.
    """

    def __init__(
        self,
        text: str,
        permanent: bool = False,  # noqa: FBT001, FBT002 - the contract's own order
        *,
        detail: str = "",
        reply: Reply | None = None,
    ) -> None:
        super().__init__(detail or text)
        self.text = text
        self.permanent = permanent
        self.detail = detail or text
        self.reply = reply

    @property
    def answered(self) -> bool:
        """Return whether the target was reached, so that the refusal is about the message."""
        return self.reply is not None

    def as_reply(self) -> Reply:
        """Return the reply for the client."""
        code, enhanced = (554, "5.3.0") if self.permanent else (451, "4.3.0")
        return self.reply or Reply(code, self.text, enhanced)


# The recipients that do not have the message, each with the reason.
Failures: TypeAlias = Mapping[Recipient, DeliveryError]


class TargetSpec(msgspec.Struct, frozen=True, eq=False):
    """A target as a route configures it: `to = "SCHEME:TEXT"`.

    `options` is the table of the route that the class names in `Target.options_table`, otherwise
    None. Relative paths start at the folder `base`. `hostname` is `server.hostname`. `resolver` is
    the resolver of the worker.
    """

    scheme: str
    text: str
    options: Any
    base: Path
    hostname: str
    resolver: Resolver = msgspec.field(default_factory=DnsResolver)


class TargetPath(NamedTuple):
    """A path on this machine that a target needs: a program to run, or a folder to write to."""

    kind: Literal["program", "folder"]
    path: Path


class Target(ABC):
    """The base class of delivery targets. Only `deliver` must be overridden.

    A worker makes one instance for each distinct route, and again after a reload. All methods are
    called in the worker's event loop, except `from_route`, `paths` and `warnings`, which
    `gatepost check` calls without a running loop. They must not block: use threads for blocking
    work. Several deliveries may run at the same time.
    """

    # The table of a route with this target's options: "maildir", "pipe" or "client"; "": none.
    options_table: ClassVar[str] = ""

    # Whether the mail ends here. If it is false the server reports success as "relayed", not as
    # "delivered" (RFC 3461 section 5.2.2).
    final_delivery: bool = True

    # Whether `verify` can ask the next hop. If it is false, RCPT costs nothing.
    can_verify: bool = False

    # Whether it looks up names. `gatepost check` then examines the name servers.
    uses_dns: bool = False

    @classmethod
    def from_route(cls, spec: TargetSpec) -> Self:
        """Return the target of a route; raise ValueError for a text or options it cannot use.

        The error completes the line of the configuration: "expected …, found …". This may read
        files that the options name. It must not use the network, nor change anything on disk.
        By default a target is made without arguments and accepts no text after the colon.
        """
        if spec.text:
            raise ValueError(f"expected nothing after the colon, found {spec.text!r}")
        return cls()

    async def start(self) -> None:  # noqa: B027 - nothing by default
        """Prepare for deliveries. Called once, before the server accepts connections.

        An exception keeps the server from starting.
        """

    async def stop(self) -> None:  # noqa: B027 - nothing by default
        """Close what is open between deliveries. Called once, after the last delivery.

        It is also called if `start` of this target or another has failed, or was not called.
        """

    @abstractmethod
    def deliver(self, delivery: Delivery) -> Awaitable[Failures | None] | None:
        """Take the message for the delivery's recipients.

        Write it as `async def`, or as `def` if nothing has to wait: returning None instead of an
        awaitable costs no task. Return the recipients that do not have the message, each with its
        `DeliveryError`; None or an empty mapping if all have it. Raise `DeliveryError` if none has
        it. Any other exception counts as a temporary failure for all recipients.

        The message must be safe, such as written and fsynced, before this returns. A cancelled
        delivery must keep nothing, or finish before it lets the cancellation through. Deliveries
        from the queue are cancelled after an hour; with `mode = "direct"` the client waits, and
        clients give up after ten minutes.
        """

    async def verify(self, tx: Transaction, rcpt: Recipient) -> Reply | None:
        """Return the next hop's 5yz reply to a recipient, None if it accepts it or gives no answer.

        Called at RCPT (call-ahead), only if `can_verify` is true. The client waits for it: return
        within seconds. A problem on the way to the next hop is no refusal: return None.
        """
        del tx, rcpt
        return None

    def known_reply(self, tx: Transaction, rcpt: Recipient) -> tuple[Reply | None] | None:
        """Return what `verify` would return, in a tuple, if that is known without waiting.

        If it is None, `verify` is called. Override this in a target that keeps its results.
        """
        del tx, rcpt
        return None

    def destination(self, rcpt: Recipient) -> str:
        """Return the name of the recipient's next hop, for the queue.

        The queue limits deliveries and delays retries for each destination. Override this if the
        target has several next hops that can fail independently. By default ("") the target is one
        destination, named by the route's `to`.
        """
        del rcpt
        return ""

    def paths(self) -> Iterable[TargetPath]:
        """Return the paths that `gatepost check` examines for the server's user."""
        return ()

    def warnings(self) -> Iterable[str]:
        """Yield warnings about options, each starting with the key below the route.

        `gatepost check` shows `client.tls is none: …` as `route[2].client.tls is none: …`.
        """
        return ()
