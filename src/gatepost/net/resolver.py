"""DNS lookups: the protocol of a resolver, and the resolver that asks name servers.

Tests use `gatepost.testing.FakeResolver`. Names are looked up as A-labels. An alias (CNAME) is
followed by the name server; a resolver returns the records at its end.

Security: an answer can be forged on its way, unless the name server checks DNSSEC signatures and is
on this machine. Names, addresses and text in an answer are untrusted data; the caller checks them.
A name that cannot exist is not looked up, so a name may come from a client.
Limits: the time-out is for each try, TRIES tries. There is no cache.
"""

import asyncio
import importlib
import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Protocol

from gatepost.model.address import domain_key
from gatepost.net.block_list import Listable, as_address, find_listed
from gatepost.net.resolve_error import NoSuchNameError, ResolveError

QUERY_TIMEOUT = 5.0
TRIES = 2

# RFC 1035 s2.3.4, as text without the final dot. A backslash would start an escape sequence.
_MAX_NAME = 253
_NAME = re.compile(r"(?:[!-\-/-\[\]-~]{1,63}\.)*[!-\-/-\[\]-~]{1,63}")


class Resolver(Protocol):
    """Looks up names. Each method raises `NoSuchNameError`, or `ResolveError` without an answer."""

    async def a(self, name: str) -> list[str]:
        """Return the IPv4 addresses of a name, [] if there is no A record."""

    async def aaaa(self, name: str) -> list[str]:
        """Return the IPv6 addresses of a name, [] if there is no AAAA record."""

    async def addresses(self, host: str) -> list[str]:
        """Return the IPv6 and IPv4 addresses of a host, [] if it has no address."""

    async def mx(self, domain: str) -> list[tuple[int, str]]:
        """Return (preference, host name) pairs, [] if there is no MX record; "" is the root."""

    async def txt(self, name: str) -> list[str]:
        """Return the TXT records, [] if there is none.

        The strings of a record are joined without a blank (RFC 7208 section 3.3). Octets that are
        not UTF-8 are replaced by U+FFFD.
        """

    async def ptr(self, address: IPv4Address | IPv6Address | str) -> list[str]:
        """Return the names of an IP address, [] if there is no PTR record.

        Raises ValueError for text that is no IP address. Anyone can set any name for their address:
        look the name up and compare.
        """

    async def listed(self, what: Listable, zone: str) -> list[str] | None:
        """Return the answers of a DNS list (DNSBL) for an IP address or domain, None if not listed.

        The answers are addresses within 127.0.0.0/8, such as "127.0.0.2"; the list documents their
        meaning. An error of the list (127.255.255.0/24) raises `ResolveError`. A name that does not
        exist is not listed, so this does not raise `NoSuchNameError`.
        """


class DnsResolver:
    """Asks name servers, with aiodns.

    `servers` are addresses with or without port; () are those of this system. `timeout` is in
    seconds. It belongs to one event loop, from the first lookup on, which opens it.
    """

    def __init__(
        self, servers: Sequence[str] = (), timeout: float = QUERY_TIMEOUT, tries: int = TRIES
    ) -> None:
        self._options: dict[str, Any] = {"timeout": timeout, "tries": tries}
        if servers:
            self._options["nameservers"] = list(servers)
        self._resolver: Any = None

    async def close(self) -> None:
        """Stop lookups in progress. A later lookup opens the resolver again."""
        resolver, self._resolver = self._resolver, None
        if resolver is not None:
            await resolver.close()

    async def a(self, name: str) -> list[str]:
        """Look up IPv4 addresses, see `Resolver.a`."""
        return [str(ip_address(data.addr)) for data in await self._look_up(name, "A")]

    async def aaaa(self, name: str) -> list[str]:
        """Look up IPv6 addresses, see `Resolver.aaaa`."""
        return [str(ip_address(data.addr)) for data in await self._look_up(name, "AAAA")]

    async def addresses(self, host: str) -> list[str]:
        """Look up the addresses, see `Resolver.addresses`."""
        found = await asyncio.gather(self.aaaa(host), self.a(host), return_exceptions=True)
        addresses = [one for part in found if isinstance(part, list) for one in part]
        problem = next((one for one in found if isinstance(one, BaseException)), None)
        if problem is not None and not addresses:
            raise problem
        return addresses

    async def mx(self, domain: str) -> list[tuple[int, str]]:
        """Look up the mail exchangers, see `Resolver.mx`."""
        answer = await self._look_up(domain, "MX")
        return [(data.priority, _name(data.exchange)) for data in answer]

    async def txt(self, name: str) -> list[str]:
        """Look up text, see `Resolver.txt`."""
        return [data.data.decode("utf-8", "replace") for data in await self._look_up(name, "TXT")]

    async def ptr(self, address: IPv4Address | IPv6Address | str) -> list[str]:
        """Look up the names of an address, see `Resolver.ptr`."""
        name = pointer_name(address)
        return [_name(data.dname) for data in await self._look_up(name, "PTR")]

    async def listed(self, what: Listable, zone: str) -> list[str] | None:
        """Look up an entry of a DNS list, see `Resolver.listed`."""
        return await find_listed(self.a, what, zone)

    async def _look_up(self, name: str, kind: str) -> list[Any]:
        """Return the data of the records of one type."""
        # imported here: most configurations need no DNS
        aiodns: Any = importlib.import_module("aiodns")
        key = look_up_key(name)
        if self._resolver is None:
            self._resolver = aiodns.DNSResolver(**self._options)
        try:
            result = await self._resolver.query_dns(key, kind)
        except aiodns.error.DNSError as error:
            if error.args[0] == aiodns.error.ARES_ENODATA:
                return []
            if error.args[0] == aiodns.error.ARES_ENOTFOUND:
                raise NoSuchNameError(f"{name}: no such name") from error
            raise ResolveError(f"{name} {kind}: {error.args[-1]}") from error
        data_type = f"{kind}RecordData"  # the answer also contains aliases (CNAME)
        return [one.data for one in result.answer if type(one.data).__name__ == data_type]


def look_up_key(name: str) -> str:
    """Return the canonical form of a name; raises `NoSuchNameError` if it cannot exist."""
    key = domain_key(name)
    if len(key) > _MAX_NAME or not _NAME.fullmatch(key):
        raise NoSuchNameError(f"{name[:80]!r}: no such name")
    return key


def pointer_name(address: IPv4Address | IPv6Address | str) -> str:
    """Return the name of the PTR records of an IP address; raises ValueError."""
    found = as_address(address)
    if found is None:
        raise ValueError(f"expected an IP address, found {str(address)[:80]!r}")
    return found.reverse_pointer


def _name(text: str) -> str:
    return text.rstrip(".").lower()
