"""Messages of plugins: reports, notices, replies.

A message goes straight into the queue, by the route of each recipient. It passes no hook, so a
plugin that submits a message for each message it sees does not see its own. The peer is this
machine, as for DSNs: the sender gets DSNs, and failed mail without a sender is held.

Security: as for DSNs, a route for all recipients (`*`) is for local domains only, unless it relays
(`gatepost.queue.routing`). The content must be pure: CRLF line ends and no NUL.

Limits: `limits.recipients` and `limits.message_size`.
"""

import secrets
from collections.abc import Sequence
from itertools import count

from gatepost.model.address import NULL_PATH, Address
from gatepost.model.edits import pure
from gatepost.model.message import Message
from gatepost.model.session import Recipient, Session, Transaction
from gatepost.plugin.outbox import NewMail
from gatepost.queue.routing import HERE, QueueRouter
from gatepost.session.content.trace import date
from gatepost.session.setup import Setup


class Submission:
    """The outbox of a worker; the queue is that of `setup`."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._prefix = secrets.token_hex(4)
        self._numbers = count(1)

    async def submit(
        self,
        plugin: str,
        sender: Address | str,
        recipients: Sequence[Address | str],
        message: NewMail,
    ) -> str:
        """Queue a message, see `Plugin.submit`."""
        setup = self._setup
        if setup.spool is None:
            raise RuntimeError("submit() needs the queue, which does not run yet, or not here")
        tx = self._transaction(_address(sender) if sender else NULL_PATH)
        to = self._recipients(recipients)
        content = self._content(tx, message)
        try:
            params = _params(tx, to, content)
            tx = self._transaction(tx.reverse_path, tx.id, params, to)
            await setup.spool.put(tx, to, content)
            setup.recorder.submitted(tx, plugin, content.full_size)
        finally:
            content.close()
        return tx.id

    def _transaction(
        self,
        sender: Address,
        ref: str = "",
        params: dict[str, str] | None = None,
        recipients: Sequence[Recipient] = (),
    ) -> Transaction:
        now, hostname = self._setup.clock.time(), self._setup.hostname
        ref = ref or f"{self._prefix}-s{next(self._numbers):x}"
        session = Session(ref, HERE, HERE, now, helo=hostname, extended=True)
        return Transaction(ref, session, sender, params or {}, now, recipients)

    def _recipients(self, addresses: Sequence[Address | str]) -> list[Recipient]:
        if isinstance(addresses, str):
            raise TypeError(f"expected a list of recipients, found {addresses!r}")
        setup, found = self._setup, dict[str, Recipient]()
        router = QueueRouter(setup.router, setup.is_local)
        for one in map(_address, addresses):
            rcpt = setup.destinations.make(one, {}, "", added=False)
            if router.route_to_sender(rcpt) is None:
                raise ValueError(f"no route for {one}: its domain is not local")
            found.setdefault(one.key, rcpt)
        if not 0 < len(found) <= setup.limits.recipients:
            limit = f"1 to {setup.limits.recipients} (limits.recipients)"
            raise ValueError(f"expected {limit} recipients, found {len(found)}")
        return list(found.values())

    def _content(self, tx: Transaction, message: NewMail) -> Message:
        """Return the message with the fields that it lacks, and without Bcc."""
        setup, limits = self._setup, self._setup.limits
        data = _octets(message)
        if len(data) > limits.message_size:
            limit = f"{limits.message_size} octets (limits.message_size)"
            raise ValueError(f"expected a message of at most {limit}, found {len(data)}")
        content = Message(limits.memory_per_message, setup.folder, limits.message_size, utf8=True)
        try:
            for piece in pure([data], "message"):
                content.write(piece)
            content.complete()
            self._complete(tx, content)
        except BaseException:
            content.close()
            raise
        return content

    def _complete(self, tx: Transaction, content: Message) -> None:
        headers = content.headers()
        if headers.get("Bcc") is not None:
            content.remove_header("Bcc")
        if headers.get("Message-ID") is None:
            content.add_header("Message-ID", f"<{tx.id}@{self._setup.hostname}>")
        if headers.get("Date") is None:
            content.add_header("Date", date(int(tx.received)))
        for name, value in reversed(self._setup.plugins.fields_of_own_mail(bytes(content))):
            content.add_header(name, value)
        content.seal()


def _octets(message: NewMail) -> bytes:
    """Return a message with CRLF line ends; octets with bare LF only get them too."""
    if not isinstance(message, bytes):
        return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))
    return message if b"\r" in message else message.replace(b"\n", b"\r\n")


def _params(tx: Transaction, to: Sequence[Recipient], content: Message) -> dict[str, str]:
    """Return the parameters of MAIL that the content and the addresses need."""
    params: dict[str, str] = {}
    if not all(piece.isascii() for piece in content):
        params["BODY"] = "8BITMIME"
    paths = (tx.reverse_path, *(one.address for one in to))
    if not (content.headers().raw.isascii() and all(str(one).isascii() for one in paths)):
        params["SMTPUTF8"] = ""
    return params


def _address(address: Address | str) -> Address:
    return Address.parse(address) if isinstance(address, str) else address
