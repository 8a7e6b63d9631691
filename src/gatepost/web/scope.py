"""The domains that a user of the dashboard may see, and what that leaves of a record.

A record is visible if its sender or one of its recipients is in the domains. If the sender is in
them, all of it is. Otherwise other recipients of the message, and all that is about them, are left
out: their addresses, the answers to them and their traps, what plugins did, the login of the client
and the next hops. An address that remains in a text, such as a reply, is replaced.

Connections, events and gaps have neither sender nor recipient, so they are not visible.

Security: this is the only place that decides it. What filters and searches match must be the record
that `visible` returns, not the one before.
"""

import re
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple, TypeVar

import msgspec

from gatepost.ledger.keys import canonical_address, domain_of
from gatepost.ledger.records import Delivery, Record, Transaction, to_dict

HIDDEN = "(another recipient)"

R = TypeVar("R", Transaction, Delivery)


class Scope(NamedTuple):
    """The domains in canonical form; without any everything is visible."""

    domains: frozenset[str] = frozenset()

    @property
    def is_everything(self) -> bool:
        """Return whether nothing is left out."""
        return not self.domains

    def has(self, address: str) -> bool:
        """Return whether an address is in the domains."""
        return self.is_everything or domain_of(canonical_address(address)) in self.domains

    def has_any(self, addresses: Iterable[str]) -> bool:
        """Return whether one of some addresses is in the domains."""
        return any(map(self.has, addresses))

    def visible(self, record: Record) -> Record | None:
        """Return what is visible of a record, None if nothing is."""
        if self.is_everything:
            return record
        if isinstance(record, Transaction):
            return self._transaction(record)
        return self._delivery(record) if isinstance(record, Delivery) else None

    def _transaction(self, record: Transaction) -> Transaction | None:
        if self.has(record.sender):
            return record
        own = {"", record.sender}
        hidden = {
            *(one.address for one in record.recipients),
            *(one.address for one in record.traps),
            *(one.about for one in record.answers if "@" in one.about),
            *record.replaced,
        }
        hidden = {one for one in hidden if one not in own and not self.has(one)}
        recipients = [one for one in record.recipients if one.address not in hidden]
        traps = [one for one in record.traps if one.address not in hidden]
        named = [one for one in record.replaced if one not in hidden]
        seen = [*(one.address for one in recipients), *(one.address for one in traps), *named]
        if not self.has_any(seen):
            return None
        client = record.client
        if not self.has(client.user):
            client = msgspec.structs.replace(client, user="", mechanism="")
        if not hidden:
            return msgspec.structs.replace(record, client=client)
        rest = msgspec.structs.replace(
            record,
            client=client,
            recipients=recipients,
            recipients_count=len(recipients),
            refused_count=sum(one.result != "accepted" for one in recipients),
            traps=traps,
            replaced=named,
            traps_count=len(traps),
            answers=[one for one in record.answers if one.about not in hidden],
            edits=(),
            changes=(),
            next_hops={},
            faults=0,
        )
        return _without(rest, hidden)

    def _delivery(self, record: Delivery) -> Delivery | None:
        if self.has(record.sender):
            return record
        recipients = [one for one in record.recipients if self.has(one)]
        if not recipients:
            return None
        hidden = set(record.recipients) - set(recipients)
        rest = msgspec.structs.replace(
            record, recipients=recipients, recipients_count=len(recipients)
        )
        return _without(rest, hidden) if hidden else rest


def _without(record: R, hidden: Collection[str]) -> R:
    """Return a record in whose texts some addresses are replaced.

    A text without a local part and a domain is no address; it can be part of any word.
    """
    addresses = [one for one in hidden if all(one.rpartition("@"))]
    if not addresses:
        return record
    longest_first = sorted(addresses, key=len, reverse=True)
    find = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)

    def replaced(value: Any) -> Any:
        if isinstance(value, str):
            return find.sub(HIDDEN, value)
        if isinstance(value, dict):
            return {replaced(name): replaced(one) for name, one in value.items()}
        return [replaced(one) for one in value] if isinstance(value, list) else value

    clean: R = msgspec.convert(replaced(to_dict(record)), type(record))
    return clean
