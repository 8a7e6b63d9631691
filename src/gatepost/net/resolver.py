"""Questions to the DNS, for whoever needs them: a small protocol, and what answers it for real.

Tests hand in `gatepost.testing.FakeResolver`. Names are asked for in A-labels.

Security: an answer is whatever somebody on the way has said, unless the resolver of this machine
checks signatures. Names and addresses in it are data, and checked by who uses them.
Limits: QUERY_TIMEOUT for each try, TRIES tries.
"""

import asyncio
import importlib
from ipaddress import ip_address
from typing import Any, Protocol

QUERY_TIMEOUT = 5.0
TRIES = 2


class ResolveError(Exception):
    """There is no answer now; another time there may be."""


class NoSuchNameError(Exception):
    """There is no such name (NXDOMAIN)."""


class Resolver(Protocol):
    """Asks the DNS. Each raises `NoSuchNameError`, or `ResolveError` where nobody can say."""

    async def mx(self, domain: str) -> list[tuple[int, str]]:
        """Return (preference, host name) pairs, none if there is no MX record; "" is the root."""

    async def addresses(self, host: str) -> list[str]:
        """Return the IPv6 and IPv4 addresses of a host, none if it has none."""


class DnsResolver:
    """Asks the name servers of this system, by aiodns; `options` are those of its DNSResolver.

    It is for one event loop, from the first question on.
    """

    def __init__(self, **options: Any) -> None:
        self._options = {"timeout": QUERY_TIMEOUT, "tries": TRIES, **options}
        self._resolver: Any = None

    async def mx(self, domain: str) -> list[tuple[int, str]]:
        """See `Resolver.mx`."""
        answer = await self._ask(domain, "MX")
        return [(data.priority, _name(data.exchange)) for data in answer]

    async def addresses(self, host: str) -> list[str]:
        """See `Resolver.addresses`."""
        found = await asyncio.gather(
            self._ask(host, "AAAA"), self._ask(host, "A"), return_exceptions=True
        )
        addresses = [
            str(ip_address(data.addr)) for one in found if isinstance(one, list) for data in one
        ]
        problem = next((one for one in found if isinstance(one, BaseException)), None)
        if problem is not None and not addresses:
            raise problem
        return addresses

    async def _ask(self, name: str, kind: str) -> list[Any]:
        """Return what the records of a kind say."""
        # imported here: most configurations ask for nothing
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
        wanted = f"{kind}RecordData"  # aliases (CNAME) stand beside them
        return [one.data for one in result.answer if type(one.data).__name__ == wanted]


def _name(text: str) -> str:
    return text.rstrip(".").lower()
