"""DNS lookups: the protocol of a resolver, and the resolver that asks name servers.

`gatepost.net.cached_resolver` is the one of a server, with a cache in front of this one. Tests use
`gatepost.testing.FakeResolver`. Names are looked up as A-labels. An alias (CNAME) is followed by
the name server; a resolver returns the records at its end.

Theory of operation
-------------------
aiodns uses the library c-ares, in a thread of its own. c-ares waits for a server five times as long
as its answers took on average: after answers from a cache that is 250 ms, too short for a name
whose servers are far away. So it tries ATTEMPTS times, each twice as long as the last one, and the
time-out of the whole question is measured here.

c-ares has a cache without a limit of its size, which cannot be turned off. So the channel is
replaced after RENEW_AFTER questions; each answer has 64 KiB at most.

Security: an answer can be forged on its way, unless the name server checks DNSSEC signatures and is
on this machine. Names, addresses and text in an answer are untrusted data; the caller checks them.
A name that cannot exist is not looked up, so a name may come from a client.
Limits: a question takes TRIES times the time-out. c-ares cannot ask for a name with a character
other than letters, digits and `-._/*`; such a name does not exist here.
"""

import asyncio
import importlib
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Protocol

from gatepost.model.address import domain_key
from gatepost.net.block_list import Listable, find_listed, reverse_pointer
from gatepost.net.dns_response import Response, failure, read_response
from gatepost.net.inline import need_task
from gatepost.net.questions import ABSENT, EMPTY, Answer, Kind
from gatepost.net.resolve_error import NoSuchNameError, ResolveError
from gatepost.net.together import together

QUERY_TIMEOUT = 5.0
TRIES = 2
# 0.25, 0.5, 1, 2 and 4 seconds if c-ares is at its shortest time.
ATTEMPTS = 5
# A new channel takes less than a millisecond.
RENEW_AFTER = 1000

# RFC 1035 s2.3.4, as text without the final dot. The characters are those of c-ares.
_MAX_NAME = 253
_NAME = re.compile(r"(?:[a-z0-9_/*-]{1,63}\.)*[a-z0-9_/*-]{1,63}")


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


class AnsweringResolver(ABC):
    """Base: the methods of a `Resolver`, by the answers to questions."""

    def known(self, kind: Kind, name: str) -> Answer | None:  # noqa: ARG002 - for subclasses
        """Return an answer that is there already; `name` need not be canonical."""
        return None

    @abstractmethod
    async def answer(self, kind: Kind, key: str) -> Answer:
        """Return the answer to a question about a canonical name."""

    async def a(self, name: str) -> list[str]:
        """Look up IPv4 addresses, see `Resolver.a`."""
        found = self.known("A", name)
        if found is None:
            found = await self.answer("A", look_up_key(name))
        return records_of(found, "A", name)

    async def aaaa(self, name: str) -> list[str]:
        """Look up IPv6 addresses, see `Resolver.aaaa`."""
        found = self.known("AAAA", name)
        if found is None:
            found = await self.answer("AAAA", look_up_key(name))
        return records_of(found, "AAAA", name)

    async def addresses(self, host: str) -> list[str]:
        """Look up the addresses, see `Resolver.addresses`."""
        found = await together(self.aaaa(host), self.a(host))
        addresses = [one for part in found if isinstance(part, list) for one in part]
        problem = next((one for one in found if isinstance(one, BaseException)), None)
        if problem is not None and not addresses:
            raise problem
        return addresses

    async def mx(self, domain: str) -> list[tuple[int, str]]:
        """Look up the mail exchangers, see `Resolver.mx`."""
        found = self.known("MX", domain)
        if found is None:
            found = await self.answer("MX", look_up_key(domain))
        return records_of(found, "MX", domain)

    async def txt(self, name: str) -> list[str]:
        """Look up text, see `Resolver.txt`."""
        found = self.known("TXT", name)
        if found is None:
            found = await self.answer("TXT", look_up_key(name))
        return records_of(found, "TXT", name)

    async def ptr(self, address: IPv4Address | IPv6Address | str) -> list[str]:
        """Look up the names of an address, see `Resolver.ptr`."""
        name = pointer_name(address)
        found = self.known("PTR", name)
        if found is None:
            found = await self.answer("PTR", name)
        return records_of(found, "PTR", name)

    async def listed(self, what: Listable, zone: str) -> list[str] | None:
        """Look up an entry of a DNS list, see `Resolver.listed`."""
        return await find_listed(self.a, what, zone)


class DnsResolver(AnsweringResolver):
    """Asks name servers, with aiodns, and keeps no answer.

    `servers` are addresses with or without port; () are those of this system. A question takes
    `tries` times `timeout` seconds at most. It belongs to one event loop, from the first lookup on,
    which opens it.
    """

    def __init__(
        self, servers: Sequence[str] = (), timeout: float = QUERY_TIMEOUT, tries: int = TRIES
    ) -> None:
        self._limit = timeout * tries
        self._options: dict[str, Any] = {"timeout": self._limit / 8, "tries": ATTEMPTS}
        if servers:
            self._options["nameservers"] = list(servers)
        self._channel: _Channel | None = None
        self._replaced: set[_Channel] = set()

    async def close(self) -> None:
        """Stop lookups in progress. A later lookup opens the resolver again."""
        channels, self._replaced = self._replaced, set()
        if self._channel is not None:
            channels.add(self._channel)
        self._channel = None
        for channel in channels:
            await channel.resolver.close()

    async def answer(self, kind: Kind, key: str) -> Answer:
        """Return the answer of a name server."""
        await need_task()
        return (await self.query(kind, key)).answer

    async def query(self, kind: Kind, key: str) -> Response:
        """Ask a name server, in a task; `key` is a canonical name."""
        # imported here: most configurations need no DNS
        aiodns: Any = importlib.import_module("aiodns")
        channel = self._open(aiodns)
        channel.active += 1
        try:
            async with asyncio.timeout(self._limit):
                result = await channel.resolver.query_dns(key, kind)
        except TimeoutError:
            return failure("no answer in time", reached=False)
        except aiodns.error.DNSError as error:
            return _read_error(aiodns.error, error)
        finally:
            channel.active -= 1
            self._end(channel)
        return read_response(result.answer, kind, key)

    def _open(self, aiodns: Any) -> "_Channel":
        """Return a channel that has answered few questions."""
        previous = self._channel
        if previous is None or not previous.left:
            self._channel = _Channel(aiodns.DNSResolver(**self._options))
            if previous is not None:
                self._replaced.add(previous)
                self._end(previous)
        channel = self._channel
        assert channel is not None
        channel.left -= 1
        return channel

    def _end(self, channel: "_Channel") -> None:
        """End a channel that was replaced, after its last answer.

        c-ares goes on with questions whose time is over. Its thread must not report them to an
        event loop that has ended.
        """
        if channel in self._replaced and not channel.active:
            self._replaced.remove(channel)
            channel.resolver.cancel()


class _Channel:
    """A channel of c-ares: `left` is the number of questions that it may still be asked.

    `active` is the number of those without an answer.
    """

    __slots__ = ("active", "left", "resolver")

    def __init__(self, resolver: Any) -> None:
        self.resolver = resolver
        self.left = RENEW_AFTER
        self.active = 0


def _read_error(codes: Any, error: Any) -> Response:
    code = error.args[0]
    if code == codes.ARES_ENODATA:
        return Response(EMPTY)
    if code == codes.ARES_ENOTFOUND:
        return Response(ABSENT)
    unreached = (codes.ARES_ETIMEOUT, codes.ARES_ECONNREFUSED)
    return failure(error.args[-1], reached=code not in unreached)


def records_of(answer: Answer, kind: Kind, name: str) -> list[Any]:
    """Return a copy of the records; raises `NoSuchNameError` or `ResolveError` as `Resolver`."""
    if answer.status == "absent":
        raise NoSuchNameError(f"{name}: no such name")
    if answer.status == "failed":
        raise ResolveError(f"{name} {kind}: {answer.problem}")
    return list(answer.records)


def look_up_key(name: str) -> str:
    """Return the canonical form of a name; raises `NoSuchNameError` if it cannot exist."""
    key = domain_key(name)
    if len(key) > _MAX_NAME or not _NAME.fullmatch(key):
        raise NoSuchNameError(f"{name[:80]!r}: no such name")
    return key


def pointer_name(address: IPv4Address | IPv6Address | str) -> str:
    """Return the name of the PTR records of an IP address; raises ValueError."""
    found = reverse_pointer(address)
    if found is None:
        raise ValueError(f"expected an IP address, found {str(address)[:80]!r}")
    return found
