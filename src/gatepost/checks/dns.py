"""Checks of the name servers: they answer, check DNSSEC, and DNS lists answer them.

It asks only if a plugin or a route states that it uses the DNS (`uses_dns`), or on demand. The name
servers are asked at the same time, then the test entries of all DNS lists (`Plugin.dns_lists`).
An address of 127.0.0.0/8 for 127.0.0.2 or for the domain "test" is the entry of a list that works
(RFC 5782 section 5).

Limits: MOST_SERVERS and MOST_LISTS. The name servers take 2 seconds, the lists LISTS_TIME.
"""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from gatepost.config.schema import Config
from gatepost.net.dns_probe import Probe, host_of, probe, system_servers
from gatepost.net.public_resolvers import operator_of
from gatepost.net.resolve_error import ResolveError
from gatepost.net.resolver import TRIES, Resolver
from gatepost.net.together import together
from gatepost.plugin.base import Plugin
from gatepost.plugin.failure import describe
from gatepost.session.assemble import make_resolver
from gatepost.session.setup import Setup

MOST_SERVERS = 3
MOST_LISTS = 20
LISTS_TIME = 5.0
# Many plugins look up a name that they have found with a lookup.
ROUNDS = 2
TEST_ENTRIES = ("127.0.0.2", "test")

CODES = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}


class Server(NamedTuple):
    """A name server and its behaviour; `operator` is that of a public resolver, otherwise ""."""

    address: str
    probe: Probe
    operator: str

    def __str__(self) -> str:
        public = f", public resolver of {self.operator}" if self.operator else ""
        return f"{self.address} ({self._state}{public})"

    @property
    def _state(self) -> str:
        if not self.probe.works:
            return self.problem or "no answer"
        return "checks DNSSEC" if self.probe.validates else "does not check DNSSEC"

    @property
    def problem(self) -> str:
        """The error in its answer, "" if it has none."""
        code = self.probe.code
        return f"error {CODES.get(code, code)}" if code else ""


def uses_dns(setup: Setup) -> bool:
    """Return whether a plugin or a route states that it looks up names."""
    plugins = any(one.plugin.uses_dns for one in setup.plugins.installed)
    return plugins or any(route.target.uses_dns for route in setup.router.routes)


def ask_servers(config: Config) -> list[Server]:
    """Ask the name servers of the configuration or of this system; blocks for 2 seconds at most."""
    addresses = (list(config.dns.servers) or system_servers())[:MOST_SERVERS]
    with ThreadPoolExecutor(MOST_SERVERS) as threads:
        probes = list(threads.map(probe, addresses))
    return [
        Server(one, found, operator_of(host_of(one)))
        for one, found in zip(addresses, probes, strict=True)
    ]


def warnings(config: Config, setup: Setup, servers: Sequence[Server]) -> Iterator[str]:
    """Yield what is wrong with the name servers, and what DNS lists answer through them."""
    zones: dict[str, None] = {}
    for one in setup.plugins.installed:
        yield from _add_lists(one.plugin, zones)
    yield from _too_long(config, setup)
    if not servers:
        yield "dns: this system has no name server: expected a resolver such as Unbound"
    for server in servers:
        yield from _of_server(server, with_lists=bool(zones))
    if zones and any(one.probe.works for one in servers):
        yield from asyncio.run(_of_lists(config, list(zones)[:MOST_LISTS]))


def _too_long(config: Config, setup: Setup) -> Iterator[str]:
    """Warn of plugins that fail before their questions do: an outage would defer all mail."""
    longest = ROUNDS * TRIES * config.dns.timeout
    slow = [
        one.plugin.name
        for one in setup.plugins.installed
        if one.plugin.uses_dns
        and one.on_error != "skip"
        and longest > (one.timeout or config.limits.hook_timeout)
    ]
    if slow:
        yield (
            f"dns.timeout: {ROUNDS} lookups one after the other can take {longest:g} s, longer than"
            f" plugins have (limits.hook_timeout): {', '.join(slow)} would fail and refuse mail"
            " while name servers do not answer"
        )


def _add_lists(plugin: Plugin, zones: dict[str, None]) -> Iterator[str]:
    """Add the DNS lists of a plugin to `zones`; yield its failure to name them."""
    try:
        zones.update(dict.fromkeys(plugin.dns_lists))
    except Exception as error:  # noqa: BLE001 - it is the result of the check
        yield f"dns: plugin {plugin.name}: dns_lists failed: {describe(error)}"


def _of_server(server: Server, *, with_lists: bool) -> Iterator[str]:
    name = f"dns: {server.address}"
    if server.probe.code is None:
        yield f"{name} does not answer"
    elif server.problem:
        yield f"{name} answers with the {server.problem}: expected a resolver for this machine"
    elif not server.probe.validates:
        yield (
            f"{name} does not check DNSSEC signatures: answers can be forged, expected a resolver"
            " on this machine that does, such as Unbound"
        )
    if server.operator and with_lists:
        yield (
            f"{name} is a public resolver of {server.operator}, which most DNS lists refuse:"
            " expected a resolver of your own"
        )


async def _of_lists(config: Config, zones: Sequence[str]) -> list[str]:
    """Return the problems of DNS lists, by their test entries."""
    resolver = make_resolver(config)
    try:
        async with asyncio.timeout(LISTS_TIME):
            found = await together(*(_problem(resolver, zone) for zone in zones))
    except TimeoutError:
        found = [f"dns: not all DNS lists have answered within {LISTS_TIME:g} s"]
    finally:
        await resolver.close()
    return [one for one in found if one]


async def _problem(resolver: Resolver, zone: str) -> str:
    """Return the problem of a list, "" without one."""
    try:
        found = [await resolver.listed(entry, zone) for entry in TEST_ENTRIES]
    except ResolveError as error:
        return f"dns: the list {zone} cannot be used: {error}"
    if any(found):
        return ""
    return f"dns: the list {zone} has no test entry: it may have ended, or the name is misspelt"
