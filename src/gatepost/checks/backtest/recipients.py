"""The recipients of a transaction for the rules: unknown ones, traps, and how many were asked for.

An unknown recipient is one that the server of the log refused as such, or one that is not in the
list of known recipients, if there is one. Recipients of foreign domains do not count: the server
refused to relay to them.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gatepost.config.schema import RecipientsConfig
from gatepost.importers.transaction import Recipient, Status, Transaction
from gatepost.lists.addresses import AddressList, ListSource
from gatepost.model.address import Address, AddressError, domain_key, local_key, without_tag
from gatepost.traps.table import TrapTable

SUBADDRESS = RecipientsConfig(domains=[]).subaddress
_RELAY = ("relay", "Relay", "RELAY")


class Asked(NamedTuple):
    """The distinct recipients of our domains: those asked for, the unknown ones, the traps."""

    asked: int
    unknown: list[str]
    traps: list[str]


class Directory:
    """The trap lists and the known recipients; both may be empty."""

    def __init__(self, traps: Sequence[ListSource] = (), known: AddressList | None = None) -> None:
        self._known = known
        self._table = TrapTable(traps, [known] if known else [])
        self._domains = {entry.key.rpartition("@")[2] for entry in known or ()}

    def look_up(self, transaction: Transaction) -> Asked:
        """Return the recipients of a transaction."""
        unknown: list[str] = []
        traps: list[str] = []
        asked = transaction.more_recipients
        for one in transaction.recipients.values():
            address = _parsed(one.address)
            key, user_key = _keys(address) if address else ("", "")
            if self._is_foreign(one, key):
                continue
            asked += 1
            if self._is_unknown(one, key, user_key):
                unknown.append(one.address)
            if address is not None and self._table.match(address, key, user_key, transaction.time):
                traps.append(one.address)
        return Asked(asked, unknown, traps)

    def _is_foreign(self, recipient: Recipient, key: str) -> bool:
        if self._known is not None:
            return key.rpartition("@")[2] not in self._domains
        return recipient.status is Status.REFUSED and any(
            word in recipient.reply for word in _RELAY
        )

    def _is_unknown(self, recipient: Recipient, key: str, user_key: str) -> bool:
        if self._known is not None:
            return self._known.find(key, user_key) is None
        return recipient.status is Status.UNKNOWN


def locals_of(addresses: Sequence[str]) -> Iterator[str]:
    """Yield the local parts of addresses, in their own spelling."""
    return (address.rpartition("@")[0] for address in addresses)


def _parsed(text: str) -> Address | None:
    try:
        return Address.parse(text)
    except AddressError:
        return None


def _keys(address: Address) -> tuple[str, str]:
    local, domain = local_key(address.local), domain_key(address.domain)
    return f"{local}@{domain}", f"{without_tag(local, SUBADDRESS)}@{domain}"
