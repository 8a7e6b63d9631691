"""Addresses as the keys of tables: from tables, and from a table in the options.

The keys of an address are the address, the address without its subaddress, and `@` with the
domain, all in canonical form. The first one that is found counts, in the options before the tables.

Security: a table of local parts, such as an alias file, would find an address of any domain. It
gets only keys without a domain, which a plugin adds for local domains.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from gatepost import Address, ServerFacts, Table, TableError, UnavailableError


class AddressTables:
    """Tables, and `own` values by key, which come before them."""

    def __init__(self, tables: Sequence[Table], own: Mapping[str, str]) -> None:
        self._tables = tables
        self._own = own

    def __bool__(self) -> bool:
        return bool(self._tables or self._own)

    async def values(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the values of keys, each from the first table that has it.

        Raises `UnavailableError` if a table does not answer.
        """
        found = dict[str, str]()
        try:
            for one in reversed(self._tables):
                found |= await one.ask(_names(keys) if one.by_local_part else keys)
        except TableError as error:
            raise UnavailableError(str(error)) from error
        return found | {key: self._own[key] for key in keys if key in self._own}

    async def find(
        self, addresses: Iterable[Address], server: ServerFacts
    ) -> dict[Address, tuple[str, str]]:
        """Return the key that counts for each address, with its value, in one query of each table.

        Addresses that are not found are left out. Raises `UnavailableError`.
        """
        by_address = {one: keys_of(one, server) for one in addresses}
        every = list(dict.fromkeys(key for keys in by_address.values() for key in keys))
        values = await self.values(every) if every and self else {}
        return {
            address: (key, values[key])
            for address, keys in by_address.items()
            if (key := next((one for one in keys if one in values), None)) is not None
        }


def _names(keys: Iterable[str]) -> list[str]:
    return [key for key in keys if "@" not in key]


def keys_of(address: Address, server: ServerFacts) -> tuple[str, ...]:
    """Return the keys of an address in their order."""
    whole = address.key
    domain = whole.rpartition("@")[2]
    return tuple(dict.fromkeys((whole, f"{server.user_of(address)}@{domain}", f"@{domain}")))


def key_of(name: str) -> str:
    """Return the key of an address, `@domain` or a user in the options; raises ValueError."""
    if name.startswith("@"):
        return Address.parse(f"x{name}").key[1:]
    if "@" in name:
        return Address.parse(name).key
    return Address.parse(f"{name}@x").key[:-2]


def split_addresses(value: str) -> Iterator[str]:
    """Yield the addresses of a value, which are separated by commas or white space."""
    return (one for one in value.replace(",", " ").split() if one)
