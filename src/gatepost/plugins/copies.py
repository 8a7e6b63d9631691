"""Send copies of messages to other addresses: by sender, by recipient, or of all (BCC, journal).

A copy is an added recipient: the others do not see it, and it causes no DSN. A message that is
refused has no copies.

Trust: tables are written by administrators. Limits: a message that has passed this server PASSES
times, and mail of an address that gets copies, has none: both can come back for ever.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from gatepost import (
    Address,
    MessageTransaction,
    Outcome,
    Plugin,
    Recipient,
    TableName,
    Transaction,
    field,
)
from gatepost.plugins._address_tables import AddressTables, key_of, split_addresses
from gatepost.plugins._passes import passes

_NAME = "copies"
# A message of a user can come back once, such as from a list or a redirection.
PASSES = 2

Addresses = dict[str, tuple[str, ...]]


class Copies(Plugin):
    """Adds the result `copies`: "added"."""

    class Options(Plugin.Options):
        """The addresses, and for which mail."""

        to: tuple[str, ...] = ()
        """Addresses that get a copy of all mail."""
        senders: Addresses = field(default_factory=dict)
        """The addresses for a sender: "user@example.com" or "@example.com"."""
        recipients: Addresses = field(default_factory=dict)
        """The addresses for a recipient."""
        sender_tables: tuple[TableName, ...] = ()
        """Tables with the addresses for a sender."""
        recipient_tables: tuple[TableName, ...] = ()
        """Tables with the addresses for a recipient."""
        direction: Literal["both", "in", "out"] = "both"
        """Which mail has copies: "out" is that of authenticated clients and of relay networks."""
        route: str = ""
        """The name of the route for copies; by default the routes of their addresses."""

        def __post_init__(self) -> None:
            tables = self.sender_tables + self.recipient_tables
            if not (self.to or self.senders or self.recipients or tables):
                raise ValueError("expected to, senders, recipients or tables")
            for one in (*self.to, *_members(self.senders), *_members(self.recipients)):
                Address.parse(one)
            for name in (*self.senders, *self.recipients):
                key_of(name)

    def start(self) -> None:
        """Open the tables; raises ValueError for a table or route that does not exist."""
        options = self.options
        if options.route and options.route not in self.server.routes:
            raise ValueError(f"route: expected the name of a [[route]], found {options.route!r}")
        self._senders = self._tables(options.sender_tables, options.senders)
        self._recipients = self._tables(options.recipient_tables, options.recipients)

    def _tables(self, specs: Sequence[str], own: Addresses) -> AddressTables:
        values = {key_of(name): ", ".join(to) for name, to in own.items()}
        return AddressTables([self.table(one) for one in specs], values)

    def after_rcpt(self, tx: Transaction, rcpt: Recipient, outcome: Outcome) -> None:
        """Keep the address that the client has named: an alias may replace it."""
        if outcome.reply.code < 300 and self._recipients:
            tx.notes.setdefault(_NAME, []).append(rcpt.address)

    async def observe_message(self, tx: MessageTransaction) -> None:
        """Add the copies; no decision of a plugin about the message prevents it."""
        if not self._is_copied(tx):
            return
        found = list(self.options.to)
        for values in (await self._for_sender(tx), await self._for_recipients(tx)):
            found += [one for value in values for one in split_addresses(value)]
        keys = {Address.parse(one).key for one in found}
        if not keys or tx.reverse_path.key in keys:
            return
        named = {one.address.key for one in tx.recipients}
        for one in dict.fromkeys(found):
            tx.add_recipient(one, route=self.options.route)
        tx.results.add(_NAME, "added")
        self.metrics.counter("added").inc(len(keys - named))

    def _is_copied(self, tx: MessageTransaction) -> bool:
        session, direction = tx.session, self.options.direction
        is_own = session.auth is not None or session.in_relay_network
        if direction != "both" and is_own != (direction == "out"):
            return False
        return passes(tx.message, self.server.hostname) < PASSES

    async def _for_sender(self, tx: Transaction) -> list[str]:
        if not tx.reverse_path:
            return []
        found = await self._senders.find([tx.reverse_path], self.server)
        return [value for _, value in found.values()]

    async def _for_recipients(self, tx: Transaction) -> list[str]:
        named: list[Address] = tx.notes.get(_NAME, [])
        addresses = (*named, *(one.address for one in tx.recipients))
        found = await self._recipients.find(addresses, self.server)
        return [value for _, value in found.values()]


def _members(addresses: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [one for to in addresses.values() for one in to]
