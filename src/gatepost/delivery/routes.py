"""Chooses the route of each recipient: the first one with a pattern that matches.

Patterns are `*` (all recipients), `example.com` or `@example.com` (the domain without its
subdomains) and `user@example.com` (the mailbox, with any subaddress). The order of the routes
decides, not how exact a pattern is: put `*` last. A plugin can choose a route by its name for a
recipient, whatever its patterns.

All patterns are in one dictionary, so that the cost does not grow with the number of routes.
"""

from collections.abc import Iterable, Sequence

from gatepost.delivery.route import Route
from gatepost.delivery.target import DeliveryError, Target
from gatepost.model.address import Address, domain_key, local_key, parse_domain
from gatepost.model.session import Recipient
from gatepost.net.networks import Networks

EVERYONE = "*"


class Router:
    """The routes in order.

    `routes` are pairs of patterns and a route, `hostname` the domain of `<postmaster>`. Raise
    ValueError with the key of the route for an invalid pattern.
    """

    def __init__(self, routes: Iterable[tuple[Sequence[str], Route]], *, hostname: str) -> None:
        self._hostname = domain_key(hostname)
        self.routes: list[Route] = []
        self._ranks: dict[str, int] = {}
        self._named: dict[str, Route] = {}
        for rank, (patterns, route) in enumerate(routes):
            self.routes.append(route)
            for key in _keys(patterns, rank, named=route.name != ""):
                self._ranks.setdefault(key, rank)
            self._add_name(route, rank)
        is_only = self._ranks.get(EVERYONE) == 0 and not self._named
        self._only = self.routes[0] if is_only else None

    def _add_name(self, route: Route, rank: int) -> None:
        if route.name in self._named:
            raise ValueError(f"route[{rank}].name: {route.name!r} is the name of another route")
        if route.name:
            self._named[route.name] = route

    def check_name(self, name: str) -> None:
        """Raise ValueError unless a route has this name."""
        if name not in self._named:
            names = ", ".join(map(repr, self._named)) or "no route has a name"
            raise ValueError(f"expected the name of a [[route]], found {name!r}: {names}")

    def route(self, recipient: Recipient) -> Route | None:
        """Return the route for this recipient, None without one.

        A route that a plugin has chosen may be gone from the configuration.
        """
        if self._only is not None and not recipient.route:
            return self._only
        if recipient.route:
            return self._named.get(recipient.route)
        rank = min(self._matches(recipient), default=None)
        return None if rank is None else self.routes[rank]

    def has_pattern_for(self, recipient: Recipient) -> bool:
        """Return whether the route of a recipient has a pattern for its domain or address.

        The pattern for all recipients does not count.
        """
        ranks = self._ranks
        rank = min(self._matches(recipient), default=None)
        return rank is not None and any(ranks.get(key) == rank for key in self._keys_of(recipient))

    def split(self, recipients: Sequence[Recipient]) -> list[tuple[Route, list[Recipient]]]:
        """Return each route with the recipients it serves, in order of first use.

        Raise `DeliveryError` if a recipient has no route, so that none is dropped silently.
        """
        if self._only is not None:
            return [(self._only, list(recipients))]
        shares: dict[Route, list[Recipient]] = {}
        for recipient in recipients:
            route = self.route(recipient)
            if route is None:
                detail = f"no route for {recipient.address}"
                raise DeliveryError("No route to recipient, please try again later", detail=detail)
            shares.setdefault(route, []).append(recipient)
        return list(shares.items())

    @property
    def relay_networks(self) -> Networks:
        """The networks from which any route relays."""
        return tuple(network for route in self.routes for network in route.relay_for.networks)

    async def start(self) -> None:
        """Start every target."""
        for target in self._targets():
            await target.start()

    async def stop(self) -> None:
        """Stop every target, after the last delivery."""
        for target in self._targets():
            await target.stop()

    def _targets(self) -> list[Target]:
        return list({id(route.target): route.target for route in self.routes}.values())

    def _matches(self, recipient: Recipient) -> Iterable[int]:
        keys = (*self._keys_of(recipient), EVERYONE)
        return (self._ranks[key] for key in keys if key in self._ranks)

    def _keys_of(self, recipient: Recipient) -> Sequence[str]:
        """Return the keys of all patterns that match, except that for all recipients."""
        address = recipient.address
        local = local_key(address.local)
        domain = domain_key(address.domain) or self._hostname
        return (f"{local}@{domain}", f"{recipient.user or local}@{domain}", domain)


def _keys(patterns: Sequence[str], number: int, *, named: bool) -> list[str]:
    if not (patterns or named):
        expected = "expected at least one pattern, or a name"
        raise ValueError(f"route[{number}].for: {expected}, found none")
    try:
        return [pattern_key(pattern) for pattern in patterns]
    except ValueError as error:
        expected = "*, a domain, @domain or an address"
        raise ValueError(f"route[{number}].for: expected {expected}: {error}") from error


def pattern_key(pattern: str) -> str:
    """Return the key of a pattern, the same for all spellings; raise ValueError."""
    if pattern == EVERYONE:
        return EVERYONE
    if "@" in pattern[1:]:
        return Address.parse(pattern).key
    return parse_domain(pattern.removeprefix("@"))
