"""Hide the names of hosts in the sender of your own mail: host.example.com becomes example.com.

The sender of the envelope and the addresses in From, Reply-To and Sender change, by the domain or
by tables, in mail of authenticated clients and of networks that may relay. Mail from outside stays.

Trust: tables are written by administrators. Limits: a field that occurs twice, one that is not
ASCII in a message without SMTPUTF8, and one of more than LONGEST characters stay as they are.
"""

from collections.abc import Iterable

from gatepost import (
    Address,
    AddressList,
    MessageTransaction,
    Plugin,
    TableName,
    Transaction,
    field,
)
from gatepost.plugins._address_fields import addresses_in, replace_addresses
from gatepost.plugins._address_tables import AddressTables, key_of
from gatepost.plugins._subjects import domain_of

_NAME = "masquerade"
LONGEST = 10_000

Replacements = dict[Address, Address]


class Masquerade(Plugin):
    """Adds the result `masquerade`: "changed"."""

    class Options(Plugin.Options):
        """The domains, and where they are replaced."""

        domains: dict[str, str] = field(default_factory=dict)
        """The new domain for each; ".example.com" stands for the subdomains of example.com."""
        tables: tuple[TableName, ...] = ()
        """Tables of new addresses, or "@example.com" for a new domain. They come first."""
        fields: tuple[str, ...] = ("From", "Reply-To", "Sender")
        """The header fields."""
        envelope: bool = True
        """Whether the sender of the envelope changes too."""
        exempt: AddressList = AddressList()
        """Addresses that stay."""

        def __post_init__(self) -> None:
            if not (self.domains or self.tables):
                raise ValueError("expected domains or tables")
            for old, new in self.domains.items():
                key_of(f"@{old.removeprefix('.')}")
                key_of(f"@{new}")

    def start(self) -> None:
        """Open the tables; raises ValueError for a specification that is wrong."""
        options = self.options
        self._tables = AddressTables([self.table(one) for one in options.tables], {})
        self._domains = {
            old[: old.startswith(".")] + key_of(f"@{old.removeprefix('.')}")[1:]: new
            for old, new in options.domains.items()
        }

    async def observe_mail(self, tx: Transaction, sender: Address) -> None:
        """Change the sender; a decision of another plugin does not prevent it."""
        if not (self.options.envelope and sender and _is_own(tx)):
            return
        for new in (await self._replacements([sender])).values():
            tx.change_sender(new)
            self._count(tx, "envelope")

    async def observe_message(self, tx: MessageTransaction) -> None:
        """Change the header fields, before other plugins sign the message."""
        if not _is_own(tx):
            return
        headers, utf8 = tx.message.headers(), "SMTPUTF8" in tx.params
        values = {name: headers.get_all(name) for name in self.options.fields}
        usual = {name: found[0] for name, found in values.items() if _is_usual(found, utf8=utf8)}
        found = {address for value in usual.values() for address in addresses_in(value)}
        new = await self._replacements(found)
        for name, value in usual.items():
            changed = replace_addresses(value, new)
            if changed != value:
                tx.message.replace_header(name, changed)
                self._count(tx, "header")

    async def _replacements(self, addresses: Iterable[Address]) -> Replacements:
        """Return the new address of each that has one; raises ValueError for a wrong one."""
        some = [one for one in addresses if one not in self.options.exempt]
        found = await self._tables.find(some, self.server)
        new = {one: self._new(one, found.get(one)) for one in some}
        return {old: one for old, one in new.items() if one is not None and one.key != old.key}

    def _new(self, address: Address, found: tuple[str, str] | None) -> Address | None:
        value = found[1].strip() if found is not None else ""
        if not value:
            domain = self._domain(domain_of(address))
            return Address(address.local, domain) if domain else None
        if value.startswith("@"):
            return Address.parse(str(Address(address.local, value[1:])))
        return Address.parse(value)

    def _domain(self, domain: str) -> str:
        """Return the new domain for one, "" if it stays: its own, or that of the nearest parent."""
        if domain in self._domains:
            return self._domains[domain]
        _, dot, parent = domain.partition(".")
        while dot:
            if f".{parent}" in self._domains:
                return self._domains[f".{parent}"]
            _, dot, parent = parent.partition(".")
        return ""

    def _count(self, tx: Transaction, where: str) -> None:
        self.metrics.counter("changed", where=where).inc()
        if tx.results.value(_NAME) is None:
            tx.results.add(_NAME, "changed")


def _is_own(tx: Transaction) -> bool:
    return tx.session.auth is not None or tx.session.in_relay_network


def _is_usual(values: list[str], *, utf8: bool) -> bool:
    """Return whether a field occurs once, and can be written as it was read."""
    return len(values) == 1 and len(values[0]) <= LONGEST and (utf8 or values[0].isascii())
