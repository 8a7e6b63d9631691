"""DNS lookups: the protocol of a resolver, and the resolver that uses the system's name servers.

Tests use `gatepost.testing.FakeResolver`. Names are looked up as A-labels.

Security: an answer can be forged on its way, unless the resolver of this machine checks DNSSEC
signatures. Names and addresses in an answer are untrusted data; the caller checks them.
Limits: QUERY_TIMEOUT for each try, TRIES tries.
"""

import asyncio
import importlib
from ipaddress import ip_address
from typing import Any, Protocol

QUERY_TIMEOUT = 5.0
TRIES = 2


class ResolveError(Exception):
    """The lookup failed; it may succeed later."""


class NoSuchNameError(Exception):
    """The name does not exist (NXDOMAIN)."""


class Resolver(Protocol):
    """Looks up names. Each method raises `NoSuchNameError`, or `ResolveError` without an answer."""

    async def mx(self, domain: str) -> list[tuple[int, str]]:
        """Return (preference, host name) pairs, [] if there is no MX record; "" is the root."""

    async def addresses(self, host: str) -> list[str]:
        """Return the IPv6 and IPv4 addresses of a host, [] if it has no address."""


class DnsResolver:
    """Uses the name servers of this system, with aiodns; `options` are those of its DNSResolver.

    It belongs to one event loop, from the first lookup on.
    """

    def __init__(self, **options: Any) -> None:
        self._options = {"timeout": QUERY_TIMEOUT, "tries": TRIES, **options}
        self._resolver: Any = None

    async def mx(self, domain: str) -> list[tuple[int, str]]:
        """Look up the mail exchangers, see `Resolver.mx`."""
        answer = await self._look_up(domain, "MX")
        return [(data.priority, _name(data.exchange)) for data in answer]

    async def addresses(self, host: str) -> list[str]:
        """Look up the addresses, see `Resolver.addresses`."""
        found = await asyncio.gather(
            self._look_up(host, "AAAA"), self._look_up(host, "A"), return_exceptions=True
        )
        addresses = [
            str(ip_address(data.addr)) for one in found if isinstance(one, list) for data in one
        ]
        problem = next((one for one in found if isinstance(one, BaseException)), None)
        if problem is not None and not addresses:
            raise problem
        return addresses

    async def _look_up(self, name: str, kind: str) -> list[Any]:
        """Return the data of the records of one type."""
        # imported here: most configurations need no DNS
        aiodns: Any = importlib.import_module("aiodns")
        if self._resolver is None:
            self._resolver = aiodns.DNSResolver(**self._options)
        try:
            result = await self._resolver.query_dns(name, kind)
        except aiodns.error.DNSError as error:
            if error.args[0] == aiodns.error.ARES_ENODATA:
                return []
            if error.args[0] == aiodns.error.ARES_ENOTFOUND:
                raise NoSuchNameError(f"{name}: no such name") from error
            raise ResolveError(f"{name} {kind}: {error.args[-1]}") from error
        data_type = f"{kind}RecordData"  # the answer also contains aliases (CNAME)
        return [one.data for one in result.answer if type(one.data).__name__ == data_type]


def _name(text: str) -> str:
    return text.rstrip(".").lower()
