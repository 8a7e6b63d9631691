"""A DNS resolver for tests."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, TypeVar

from gatepost.model.address import domain_key
from gatepost.net.block_list import Listable, as_address, find_listed
from gatepost.net.resolve_error import NoSuchNameError, ResolveError
from gatepost.net.resolver import pointer_name

_T = TypeVar("_T")
_Names = Mapping[str, str | Sequence[str]]


class FakeResolver:
    """A `gatepost.Resolver` with fixed answers.

    `mx` has (preference, host) pairs by domain. `a`, `aaaa` and `txt` have values by name, and
    `ptr` names by IP address; a single value needs no list. `hosts` has IPv4 and IPv6 addresses by
    host. A name in none of them does not exist. For a name or IP address in `fail` every query
    fails for now. An entry of a DNS list is an A record: `a={"2.2.0.192.bl.example": "127.0.0.2"}`.
    `asked` has every question, such as "TXT example.com".
    """

    def __init__(
        self,
        mx: Mapping[str, Sequence[tuple[int, str]]] | None = None,
        hosts: _Names | None = None,
        fail: Collection[str] = (),
        *,
        a: _Names | None = None,
        aaaa: _Names | None = None,
        txt: _Names | None = None,
        ptr: _Names | None = None,
    ) -> None:
        self.asked: list[str] = []
        self._mx = _by_key(mx or {})
        self._a = _texts(a or {})
        self._aaaa = _texts(aaaa or {})
        for host, addresses in _texts(hosts or {}).items():
            for version, records in ((4, self._a), (6, self._aaaa)):
                found = [one for one in addresses if ip_address(one).version == version]
                records[host] = [*records.get(host, ()), *found]
        self._txt = _texts(txt or {})
        self._ptr = {pointer_name(one): names for one, names in _texts(ptr or {}).items()}
        self._fail = set(map(_fail_key, fail))

    async def a(self, name: str) -> list[str]:
        """Return the values of `a`, and the IPv4 addresses of `hosts`."""
        return self._look_up(self._a, "A", name)

    async def aaaa(self, name: str) -> list[str]:
        """Return the values of `aaaa`, and the IPv6 addresses of `hosts`."""
        return self._look_up(self._aaaa, "AAAA", name)

    async def addresses(self, host: str) -> list[str]:
        """Return the addresses of a host."""
        return [*await self.aaaa(host), *await self.a(host)]

    async def mx(self, domain: str) -> list[tuple[int, str]]:
        """Return the pairs of `mx` for a domain."""
        return self._look_up(self._mx, "MX", domain)

    async def txt(self, name: str) -> list[str]:
        """Return the values of `txt`."""
        return self._look_up(self._txt, "TXT", name)

    async def ptr(self, address: IPv4Address | IPv6Address | str) -> list[str]:
        """Return the names in `ptr` of an address."""
        return self._look_up(self._ptr, "PTR", pointer_name(address))

    async def listed(self, what: Listable, zone: str) -> list[str] | None:
        """Return the answers of a DNS list, from its A records."""
        return await find_listed(self.a, what, zone)

    def _look_up(self, records: Mapping[str, Sequence[_T]], kind: str, name: str) -> list[_T]:
        key = domain_key(name)
        self.asked.append(f"{kind} {key}")
        if key in self._fail:
            raise ResolveError(f"{name}: no answer")
        if not any(key in one for one in self._all()):
            raise NoSuchNameError(f"{name}: no such name")
        return list(records.get(key, ()))

    def _all(self) -> Iterator[Mapping[str, Any]]:
        yield from (self._mx, self._a, self._aaaa, self._txt, self._ptr)


def _by_key(records: Mapping[str, Sequence[_T]]) -> dict[str, Sequence[_T]]:
    return {domain_key(name): values for name, values in records.items()}


def _texts(records: _Names) -> dict[str, Sequence[str]]:
    return {
        domain_key(name): [values] if isinstance(values, str) else list(values)
        for name, values in records.items()
    }


def _fail_key(name: str) -> str:
    return domain_key(name) if as_address(name) is None else pointer_name(name)
