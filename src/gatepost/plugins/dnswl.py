"""Count in favour of clients whose address is on a DNS allow list (DNSWL).

The lists are asked at MAIL, as in `dnsbl`. Their answers have the form of dnswl.org: 127.0.C.T, a
category and the trust from 0 (none) to 3 (high). The result is that of RFC 8904.

Limits: it decides nothing. Other plugins read the result, such as with
`unless = { results = { dnswl = "pass" } }`.
"""

from functools import cached_property
from typing import Literal

from gatepost import Address, NetworkList, Reaction, Secret, Transaction, field
from gatepost.plugins._addresses import INTERNAL, address_of, is_trusted
from gatepost.plugins._dns_lists import ADDRESSES, DnsLists, Listing
from gatepost.plugins._zones import HasZones, ListPlugin, Zone, parse_zones

NAME = "dnswl"
Trust = Literal["none", "low", "medium", "high"]
TRUST: tuple[Trust, ...] = ("none", "low", "medium", "high")
# 127.0.0.255: the list has no answer for a resolver that asks too often.
_BLOCKED = 255


class Dnswl(ListPlugin):
    """Adds one result about each client. It runs before the plugins that are against clients."""

    before = frozenset({"dnsbl", "rhsbl", "greylist", "helo", "rate_limit"})

    class Options(HasZones, dict=True):
        """`zones` is required."""

        zones: tuple[str, ...]
        """The lists."""
        keys: dict[str, Secret] = field(default_factory=dict)
        """Keys for lists that require one: `{name}` in the name of a zone is replaced."""
        none: float = 0.0
        """The number of points of a client that is listed without trust; negative is in favour."""
        low: float = -1.0
        """The number of points of low trust."""
        medium: float = -3.0
        """The number of points of medium trust."""
        high: float = -6.0
        """The number of points of high trust."""
        least: Trust = "low"
        """The trust from which the result is "pass"."""
        explain: bool = False
        """Whether the text of the list about the client becomes part of the result."""
        exempt_clients: NetworkList = NetworkList(*INTERNAL)
        """Clients that are not asked about."""

        @cached_property
        def parsed(self) -> tuple[Zone, ...]:
            """The lists as values; raises ValueError."""
            return parse_zones(self.zones, self.keys, Reaction())

    async def start(self) -> None:
        """Begin to test the lists."""
        self._lists = DnsLists(self, ADDRESSES)
        self._lists.start()

    async def on_mail(self, tx: Transaction, _sender: Address) -> None:
        """Ask the lists about the client of the first message."""
        session = tx.session
        if self.name in session.notes or is_trusted(session, self.options.exempt_clients):
            return
        session.notes[self.name] = True
        listings = await self._lists.look_up(
            [(one, address_of(session)) for one in self.options.parsed]
        )
        value, facts = await self._result(listings)
        session.results.add(NAME, value, **facts)
        tx.results.add(NAME, value, **facts)

    async def _result(self, listings: list[Listing]) -> tuple[str, dict[str, str | float]]:
        """Return the value of the result and its facts, those of the highest trust."""
        found = [(trust, answer, one) for one in listings for trust, answer in _trusts(one)]
        if not found:
            answered = any(one.answers is not None and not _refused(one) for one in listings)
            return ("none" if answered else "temperror"), {}
        trust, answer, listing = max(found, key=lambda one: one[0])
        self.metrics.counter("found", trust=TRUST[trust]).inc()
        facts: dict[str, str | float] = {"zone": listing.zone.name, "ip": answer}
        facts |= {"trust": TRUST[trust], "score": getattr(self.options, TRUST[trust])}
        if self.options.explain:
            facts["txt"] = await self._lists.text(listing)
        return ("pass" if trust >= TRUST.index(self.options.least) else "none"), facts


def _trusts(listing: Listing) -> list[tuple[int, str]]:
    """Return the trust in each answer of a list, with the answer."""
    answers = [(int(one.rpartition(".")[2]), one) for one in listing.answers or ()]
    return [(trust, one) for trust, one in answers if trust < len(TRUST)]


def _refused(listing: Listing) -> bool:
    return any(one.endswith(f".{_BLOCKED}") for one in listing.answers or ())
