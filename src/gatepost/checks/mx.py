"""The mail servers of your domains other than this one: what they forward is charged to them.

A secondary mail server accepts mail and sends it here. Its trap hits are those of others, and so
its network and its domains would be remembered. Servers that do so are those with a higher
preference than this one, or all of them if this server is none of them.

This server is the one with the name `server.hostname`, or with an address of it or of a listener.
Names of hosts are judged too (`revealing_names`).

Limits: MOST_DOMAINS, MOST_HOSTS for each, and TIME for all look-ups. Names and addresses are those
of the DNS: a server behind a load balancer or NAT may send from another address.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from itertools import islice
from typing import NamedTuple

from gatepost.checks.revealing_names import about, revealing_word
from gatepost.config.listen import InetAddress
from gatepost.config.schema import Config
from gatepost.model.address import domain_key
from gatepost.net.networks import is_within
from gatepost.net.resolve_error import NoSuchNameError, ResolveError
from gatepost.net.resolver import Resolver
from gatepost.net.together import together
from gatepost.session.assemble import Lists, make_resolver
from gatepost.session.setup import Setup

MOST_DOMAINS = 20
MOST_HOSTS = 10
TIME = 5.0


class MailServer(NamedTuple):
    """A host in an MX record, its preference and its addresses."""

    preference: int
    name: str
    addresses: frozenset[str]


def warnings(config: Config, setup: Setup, lists: Lists) -> Iterator[str]:
    """Yield the mail servers that forward mail and are not trusted, and revealing names."""
    domains = list(islice(_domains(lists), MOST_DOMAINS))
    if not domains:
        return
    found = asyncio.run(_look_up(config, domains))
    if isinstance(found, str):
        yield found
        return
    own, servers = found
    yield from _forwarders(config, setup, own, servers)
    if any(len(one.current) for one in lists.traps):
        names = {one.name for each in servers for one in each}
        yield from _revealing(names - {domain_key(config.server.hostname)}, domains)


def _domains(lists: Lists) -> Iterator[str]:
    """Yield the local domains; suffixes, literals and "*" have no MX record."""
    keys = dict.fromkeys(key for source in lists.domains for key in source.current)
    return (key for key in keys if key[0] not in ".[*")


async def _look_up(
    config: Config, domains: Sequence[str]
) -> tuple[frozenset[str], list[list[MailServer]]] | str:
    """Return the addresses of this server and the mail servers of each domain, or the problem."""
    resolver = make_resolver(config)
    try:
        async with asyncio.timeout(TIME):
            own = await _addresses(resolver, config.server.hostname)
            found = await together(*(_servers(resolver, one) for one in domains))
    except TimeoutError:
        return f"dns: the MX records of your domains have not all been found within {TIME:g} s"
    finally:
        await resolver.close()
    for domain, one in zip(domains, found, strict=True):
        if isinstance(one, ResolveError):
            return f"dns: the MX records of {domain} cannot be looked up: {one}"
        if isinstance(one, BaseException):
            raise one
    listeners = {
        str(one.address.host) for one in config.listen if isinstance(one.address, InetAddress)
    }
    return own | listeners, [one for one in found if isinstance(one, list)]


async def _servers(resolver: Resolver, domain: str) -> list[MailServer]:
    try:
        records = sorted(await resolver.mx(domain))[:MOST_HOSTS]
    except NoSuchNameError:
        return []
    named = [(preference, domain_key(name)) for preference, name in records if name]
    addresses = await together(*(_addresses(resolver, name) for _, name in named))
    return [
        MailServer(*one, found)
        for one, found in zip(named, addresses, strict=True)
        if isinstance(found, frozenset)
    ]


async def _addresses(resolver: Resolver, host: str) -> frozenset[str]:
    try:
        return frozenset(await resolver.addresses(host))
    except (NoSuchNameError, ResolveError):
        return frozenset()


def _forwarders(
    config: Config, setup: Setup, own: frozenset[str], domains: Iterable[Sequence[MailServer]]
) -> Iterator[str]:
    name = domain_key(config.server.hostname)
    later: dict[str, frozenset[str]] = {}
    for servers in domains:
        ours = [one.preference for one in servers if one.name == name or one.addresses & own]
        least = min(ours, default=-1)
        others = (one for one in servers if one.name != name and not one.addresses & own)
        later |= {one.name: one.addresses for one in others if one.preference > least}
    for host, addresses in later.items():
        unknown = sorted(one for one in addresses if not _is_trusted(setup, one))
        if unknown:
            yield (
                f"traps: {host} ({', '.join(unknown)}) is a mail server of your domains: the trap"
                " hits of mail that it forwards would be charged to it, expected its addresses in"
                " traps.trusted or relay_for"
            )


def _is_trusted(setup: Setup, address: str) -> bool:
    if ip_address(address).is_loopback or is_within(address, setup.router.relay_networks):
        return True
    return any(one.current.has_client(address) for one in setup.traps.trusted)


def _revealing(names: Iterable[str], domains: Sequence[str]) -> Iterator[str]:
    for name in sorted(names):
        word = revealing_word(name, domains)
        if word:
            yield f"traps: {about(name, word)}"
