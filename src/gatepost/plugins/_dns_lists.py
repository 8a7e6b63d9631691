"""Ask DNS lists, and ignore a list that does not work.

Theory of operation
-------------------
A list whose domain has expired, or behind a name server that answers everything, can list every
client. So each list is tested in the background: at start, every hour, and every minute until it
passes (RFC 5782 section 5). It must have an entry for 127.0.0.2 (or ::FFFF:7F00:2) and none for
127.0.0.1 and ::FFFF:7F00:1; a list of domains must have `test` and not `invalid`. Until a list has
passed, it is not asked. The first look-ups wait for the first test, the start of the server does
not. A test without an answer changes nothing.

Trusts: nothing in answers. Limits: the time-outs are those of the resolver.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import IPv6Address
from typing import NamedTuple

from gatepost import (
    Decision,
    NetworkList,
    NoSuchNameError,
    Reaction,
    ResolveError,
    Results,
    query_name,
    together,
)
from gatepost.plugins._addresses import INTERNAL
from gatepost.plugins._strictest import STRICTEST_FIRST, strictest
from gatepost.plugins._zones import ListPlugin, Zone, ZoneOptions

MAX_TEXT = 200

# The states of a list after a test. A test without an answer proves nothing.
PASSED, FAILED, SILENT = "passed", "failed", "no answer"


def _nibbles(address: str) -> str:
    """Return the name of an entry for an IPv6 address, also for a mapped one."""
    return IPv6Address(address).reverse_pointer.removesuffix(".ip6.arpa")


class Tests(NamedTuple):
    """The test entries of a kind of lists: those that must exist (one of them), and must not."""

    listed: tuple[str, ...]
    unlisted: tuple[str, ...]


ADDRESSES = Tests(
    ("127.0.0.2", _nibbles("::ffff:7f00:2")), ("127.0.0.1", _nibbles("::ffff:7f00:1"))
)
DOMAINS = Tests(("test",), ("invalid",))


class Listing(NamedTuple):
    """The answers of a list about `what`, None if it has failed; () is not listed."""

    zone: Zone
    what: str
    answers: tuple[str, ...] | None

    @property
    def reactions(self) -> tuple[Reaction, ...]:
        """The reactions to the answers."""
        return self.zone.reactions(self.answers) if self.answers else ()

    @property
    def score(self) -> float:
        """The points of all reactions."""
        return sum(one.score for one in self.reactions)


class DecidingOptions(ZoneOptions):
    """The options of plugins that refuse what is listed."""

    threshold: float = 0.0
    """The number of points of all lists together from which it is refused;
    0 leaves points to `score`."""
    explain: bool = True
    """Whether the text that the list has about the entry is added to the reply."""


class EnvelopeOptions(DecidingOptions):
    """The options of plugins that decide about clients at RCPT."""

    exempt_clients: NetworkList = NetworkList(*INTERNAL)
    """Clients that are not checked: no public list has internal ones."""
    accept_for: tuple[str, ...] = ("postmaster",)
    """Local parts of recipients that listed clients may send to."""


class DnsLists:
    """The lists of a plugin with their tests."""

    def __init__(self, plugin: ListPlugin, tests: Tests) -> None:
        self._plugin = plugin
        self._zones: Mapping[str, Zone] = {one.name: one for one in plugin.zones()}
        self._tests = tests
        self._states: dict[str, str] = {}
        self._passed: set[str] = set()
        self._tested = asyncio.Event()

    def start(self) -> None:
        """Begin the tests; call this in `start` of the plugin."""
        self._plugin.background(self._first())
        self._plugin.every("1h", self._test_all)
        self._plugin.every("1m", self._test_failed)

    async def _first(self) -> None:
        try:
            await self._test_all()
        finally:
            self._tested.set()

    async def _test_all(self) -> None:
        await self._test(list(self._zones.values()))

    async def _test_failed(self) -> None:
        await self._test([one for name, one in self._zones.items() if name not in self._passed])

    async def _test(self, zones: Sequence[Zone]) -> None:
        """Test lists at the same time, and log what has changed.

        Lists without an answer share a line: usually it is the DNS that does not answer.
        """
        changes: defaultdict[tuple[str, bool], list[tuple[str, str]]] = defaultdict(list)
        for zone, found in zip(zones, await together(*map(self._problem, zones)), strict=True):
            before, state = self._states.get(zone.name, PASSED), self._state(zone, found)
            self._states[zone.name] = state
            if state != before:
                line = zone.name if state == FAILED else state
                used = zone.name in self._passed
                changes[line, used].append((zone.name, zone.public(str(found))))
        for (_, used), lists in changes.items():
            self._report(lists, used=used)

    def _state(self, zone: Zone, found: str | Exception) -> str:
        """Return the state of a list after a test, and use it or not."""
        if isinstance(found, ResolveError):
            return SILENT
        if isinstance(found, Exception):
            raise found
        if found:
            self._passed.discard(zone.name)
            return FAILED
        self._passed.add(zone.name)
        return PASSED

    def _report(self, lists: Sequence[tuple[str, str]], *, used: bool) -> None:
        names, problem = ", ".join(name for name, _ in lists), lists[0][1]
        if problem:
            self._plugin.log.warning(
                "DNS list failed its test", list=names, used=used, problem=problem
            )
        else:
            self._plugin.log.warning("DNS list passed its test", list=names)

    async def _problem(self, zone: Zone) -> str:
        """Return why a list does not work, "" if it does; raises `ResolveError`."""
        listed = self._tests.listed if zone.test is None else tuple(filter(None, [zone.test]))
        entries = (*self._tests.unlisted, *listed)
        answers = await together(*(self._plugin.resolver.listed(one, zone.zone) for one in entries))
        wrong = answers[: len(self._tests.unlisted)]
        right = answers[len(wrong) :]
        for entry, answer in zip(entries, wrong, strict=False):
            if _is_listed(answer):
                return f"it lists {entry}, which no list has: it may list everything"
        failures = [one for one in wrong if isinstance(one, Exception)]
        if not failures and (not right or any(map(_is_listed, right))):
            return ""
        failures += [one for one in right if isinstance(one, Exception)]
        if failures:
            raise failures[0]
        return f"it does not have the test entry {listed[0]}"

    async def look_up(
        self,
        pairs: Sequence[tuple[Zone, str]],
        until: Callable[[Listing], bool] | None = None,
    ) -> list[Listing]:
        """Ask lists about IP addresses or domains, at the same time.

        With `until`, the answers that are not there when it returns true are left out. Lists that
        have not passed their test are left out too.
        """
        await self._tested.wait()
        asked = [self._ask(zone, what) for zone, what in pairs if zone.name in self._passed]
        stop = None if until is None else lambda one: isinstance(one, Listing) and until(one)
        found = await together(*asked, until=stop)
        for one in found:
            if isinstance(one, Exception):
                raise one
        return [one for one in found if isinstance(one, Listing)]

    async def _ask(self, zone: Zone, what: str) -> Listing:
        try:
            found = await self._plugin.resolver.listed(what, zone.zone)
        except ResolveError:
            self._plugin.metrics.counter("failures", list=zone.name).inc()
            return Listing(zone, what, None)
        if found:
            self._plugin.metrics.counter("hits", list=zone.name).inc()
        return Listing(zone, what, tuple(found or ()))

    async def decide(
        self,
        listings: Iterable[Listing],
        options: DecidingOptions,
        text: Callable[[Listing], str],
        reason: str,
    ) -> Decision | None:
        """Return the decision about entries of lists, None without one.

        `text` returns the text of the reply.
        """
        found = strongest(listings, options.threshold)
        if found is None:
            return None
        reaction, listing = found
        self._plugin.metrics.counter("refused", list=listing.zone.name).inc()
        words = text(listing).replace("{list}", listing.zone.name)
        more = await self.text(listing) if options.explain else ""
        return reaction.decide(f"{words}: {more}" if more else words, reason=reason)

    async def text(self, listing: Listing) -> str:
        """Return the text of a list about an entry (TXT), "" without an answer."""
        try:
            texts = await self._plugin.resolver.txt(query_name(listing.what, listing.zone.zone))
        except (ResolveError, NoSuchNameError):
            return ""
        return " ".join(listing.zone.public("".join(texts[:1])).split())[:MAX_TEXT]


def _is_listed(answer: object) -> bool:
    return bool(answer) and not isinstance(answer, Exception)


def worst_of_lists(listings: Iterable[Listing]) -> list[Listing]:
    """Return one entry for each list that has some: a list counts once."""
    worst: dict[str, Listing] = {}
    for one in listings:
        if one.answers:
            other = worst.setdefault(one.zone.name, one)
            worst[one.zone.name] = max(other, one, key=_weight)
    return list(worst.values())


def _weight(listing: Listing) -> tuple[list[bool], float]:
    words = [one.word for one in listing.reactions]
    return [word in words for word in STRICTEST_FIRST], listing.score


def strongest(listings: Iterable[Listing], threshold: float) -> tuple[Reaction, Listing] | None:
    """Return the reaction that decides, and the listing that is its reason; None without one.

    "deny" is stronger than "defer", and that than "hold". With a threshold, as many points refuse.
    """
    found = [(one, listing) for listing in worst_of_lists(listings) for one in listing.reactions]
    deciding = strictest(found)
    if deciding is not None:
        return deciding
    if found and 0 < threshold <= sum(one.score for one, _ in found):
        return Reaction("deny"), max(found, key=lambda pair: pair[0].score)[1]
    return None


def enough(threshold: float) -> Callable[[Listing], bool]:
    """Return a function to call with each listing: whether those so far refuse permanently."""
    found_so_far: list[Listing] = []

    def refuse(listing: Listing) -> bool:
        if not listing.answers:
            return False
        found_so_far[:] = worst_of_lists([*found_so_far, listing])
        found = strongest(found_so_far, threshold)
        return found is not None and found[0].word == "deny"

    return refuse


def add_results(results: Results, name: str, key: str, listings: Sequence[Listing]) -> None:
    """Add a result for each list that has an entry, or one result without any.

    `key` is the name of the fact with the address or domain. The value is "listed", "none", or
    "temperror" if no list has answered.
    """
    found = worst_of_lists(listings)
    for one in found:
        answers = " ".join(one.answers or ())[:MAX_TEXT]
        about: dict[str, str] = {key: one.what, "list": one.zone.name, "answers": answers}
        results.add(name, "listed", score=one.score, **about)
    if not found:
        answered = any(one.answers is not None for one in listings)
        results.add(name, "none" if answered else "temperror")
