"""Play one recorded session against a server in memory, as far as its content.

Facts that a client proved then are set without their proof: TLS, the authenticated user, the name
in XCLIENT. Each transaction has a connection of its own.

Limits: the records do not have HELO instead of EHLO, the parameters of MAIL and RCPT, and the order
of accepted and refused recipients among each other. Limits that depend on other connections or on
the whole session do not apply.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

import msgspec

from gatepost.checks import commands
from gatepost.checks.replay.outcome import PASSED, Outcome, of_reply, verdict_of
from gatepost.config.schema import Config, LedgerConfig
from gatepost.ledger.limits import text
from gatepost.ledger.records import (
    Client,
    Connection,
    RecipientRecord,
    Record,
    Transaction,
    Trap,
)
from gatepost.model.endpoint import Endpoint
from gatepost.model.facts import set_fact
from gatepost.model.session import AuthFacts, Session, TlsFacts
from gatepost.server.memory import MemoryClient, MemoryServer
from gatepost.session.dialect import DIALECTS
from gatepost.session.recorder import Recorder
from gatepost.wire.smtp.replies import TOO_BIG

_EVERYONE = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
_MANY = 1_000_000
# The reply to a recipient over the limit.
_OVER_LIMIT = "452 4.5.3"
# What a message gets that is larger than the limit is now.
_TOO_BIG = Outcome("refused", "limits", "message_size", str(TOO_BIG))


class Played(NamedTuple):
    """The outcome of a session and of each of its recipients in order; `traps` are those hit.

    `content` is whether the client may send content.
    """

    outcome: Outcome
    recipients: Sequence[Outcome] = ()
    traps: Sequence[Trap] = ()
    content: bool = False


class PlayError(ValueError):
    """A record that cannot be played; the text has the reason."""


def playable(config: Config) -> Config:
    """Return the configuration without what depends on other connections, and with plain records.

    Limits on errors would hide the answers to further recipients.
    """
    limits = msgspec.structs.replace(
        config.limits, exempt=_EVERYONE, errors=_MANY, soft_errors=_MANY
    )
    smtp = msgspec.structs.replace(
        config.smtp, unauthorised_pipelining="tolerate", greeting_delay=0.0
    )
    return msgspec.structs.replace(config, limits=limits, smtp=smtp, ledger=LedgerConfig())


class FactsRecorder(Recorder):
    """Sets the facts of a recorded client when its connection opens."""

    def __init__(self, config: Config) -> None:
        implicit = (one.name for one in config.listen if one.tls == "implicit")
        self._implicit_tls = frozenset(filter(None, implicit))
        self.client = Client("")
        self.transactions = 0
        self.session: Session | None = None

    def connection_opened(self, session: Session) -> None:
        """Set what is known before the greeting."""
        self.session, client = session, self.client
        set_fact(session, "transactions", self.transactions)
        if client.via:
            set_fact(session, "via", _endpoint(client.via))
        if client.xclient:
            set_fact(session, "xclient", dict(client.xclient))
            if "ADDR" not in client.xclient:  # the address is that of the host in front
                set_fact(session, "in_relay_network", False)
        if client.listener in self._implicit_tls:
            self.secure()

    def secure(self) -> None:
        """Set the facts of TLS."""
        client = self.client
        if client.tls and self.session is not None:
            tls = TlsFacts(client.tls, client.cipher, peer_subject=client.certificate)
            set_fact(self.session, "tls", tls)

    def authenticate(self) -> None:
        """Set the user; no password is needed."""
        client = self.client
        if client.user and self.session is not None:
            set_fact(self.session, "auth", AuthFacts(client.user, client.mechanism))


class Player:
    """Plays records against `server`, whose records go to `kept` and whose facts to `recorder`."""

    def __init__(
        self, server: MemoryServer, config: Config, kept: list[Record], recorder: FactsRecorder
    ) -> None:
        self._server = server
        self._kept = kept
        self._recorder = recorder
        self._message_size = config.limits.message_size
        self._listeners = {one.name for one in config.listen if one.name}

    async def connection(self, record: Connection, name: str) -> Played:
        """Play a connection without a transaction; `name` is that of HELO, "" without one.

        Raises `PlayError`.
        """
        async with self._session(record.client) as session:
            reply = await session.greet()
            if not _is_refusal(reply) and name:
                reply = await session.send(commands.hello(record.client.protocol, name))
        return Played(self._outcome(reply))

    async def transaction(self, record: Transaction, *, ends: bool) -> Played:
        """Play a transaction; without `ends` the client gives up after its recipients.

        Raises `PlayError`.
        """
        named = [one for one in record.recipients if not one.added]
        order = sorted(range(len(named)), key=lambda number: _turn(named[number]))
        recipients, answers = [named[number].address for number in order], list[str]()
        async with self._session(record.client, _number(record) - 1) as session:
            reply = await session.open(record, recipients)
            if not _is_refusal(reply):
                answers = await session.name(recipients)
            if ends and not all(map(_is_refusal, answers)):
                reply = await session.send("DATA")
        content = reply.startswith("354")
        made = [self._outcome(one, about) for one, about in zip(answers, recipients, strict=False)]
        outcomes = [one for _, one in sorted(zip(order, made, strict=False))]
        outcome = self._outcome(reply)
        if outcomes and not any(one.passes for one in outcomes):
            outcome = outcomes[0]
        if content and record.result == "accepted" and record.size > self._message_size:
            return Played(_TOO_BIG, outcomes)
        return Played(outcome, outcomes, self._traps(), content)

    def _traps(self) -> list[Trap]:
        made = (one for one in self._kept if isinstance(one, Transaction))
        return [trap for one in made for trap in one.traps]

    @asynccontextmanager
    async def _session(self, client: Client, transactions: int = 0) -> AsyncIterator["_Dialogue"]:
        """Yield a new connection; at its end the server has made its records."""
        self._kept.clear()
        self._recorder.client, self._recorder.transactions = client, transactions
        listener = client.listener if client.listener in self._listeners else ""
        if client.protocol not in DIALECTS:
            raise PlayError(f"unknown protocol {client.protocol[:80]!r}")
        if not DIALECTS[client.protocol].delivers:  # it has no refusals of the mail server
            raise PlayError(f"a session of protocol {client.protocol} cannot be replayed")
        opened = self._server.connect((client.address, client.port), client.protocol, listener)
        try:
            yield _Dialogue(opened, self._recorder)
        finally:
            await opened.close()

    def _outcome(self, reply: str, about: str = "") -> Outcome:
        """Return the outcome of a reply, by the records that the server has made."""
        if verdict_of(reply) == "accepted":
            return PASSED
        answers = [
            answer
            for one in self._kept
            if isinstance(one, Connection | Transaction)
            for answer in one.answers
        ]
        return of_reply(text(reply), answers, about)


class _Dialogue:
    """The client's side. A closed connection answers with its last reply."""

    def __init__(self, client: MemoryClient, recorder: FactsRecorder) -> None:
        self._client = client
        self._recorder = recorder
        self._last = ""

    async def greet(self) -> str:
        """Return the greeting."""
        return await self._reply()

    async def send(self, *lines: str) -> str:
        """Send commands; return the reply to the first."""
        self._client.send("".join(f"{line}\r\n" for line in lines).encode())
        return await self._reply()

    async def open(self, record: Transaction, recipients: Sequence[str]) -> str:
        """Send all up to MAIL; return the first refusal, or else the reply to MAIL.

        Raises `PlayError`.
        """
        if not record.client.helo:
            raise PlayError("expected the name of HELO in the record of a transaction")
        reply = await self.greet()
        self._recorder.secure()
        if not _is_refusal(reply):
            reply = await self.send(commands.hello(record.client.protocol, record.client.helo))
        if _is_refusal(reply):
            return reply
        self._recorder.authenticate()
        return await self.send(commands.mail(record.sender, recipients))

    async def name(self, recipients: Sequence[str]) -> list[str]:
        """Send RCPT for each recipient; return the replies."""
        if not recipients:
            return []
        first = await self.send(*map(commands.rcpt, recipients))
        return [first, *[await self._reply() for _ in recipients[1:]]]

    async def _reply(self) -> str:
        reply = await self._client.reply()
        if reply:
            self._last = reply
        elif not _is_refusal(self._last):
            raise PlayError("the server did not answer")
        return self._last


def _is_refusal(reply: str) -> bool:
    return verdict_of(reply) != "accepted"


def _turn(rcpt: RecipientRecord) -> int:
    """Return when a recipient is played: the order of accepted and refused ones is not recorded.

    Refused ones first, because only accepted ones count towards `limits.recipients`, then accepted
    ones, then those over the limit.
    """
    if rcpt.reply.startswith(_OVER_LIMIT):
        return 2
    return 0 if _is_refusal(rcpt.reply) else 1


def _number(record: Transaction) -> int:
    """Return the number of a transaction in its session."""
    number = record.ref.rpartition(".")[2]
    return int(number) if "." in record.ref and number.isdigit() else 1


def _endpoint(via: str) -> Endpoint:
    host, _, port = via.rpartition(":")
    known = port.isdigit() and bool(host)
    return Endpoint(host.strip("[]"), int(port)) if known else Endpoint(via)
