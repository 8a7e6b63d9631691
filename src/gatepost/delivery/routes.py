"""Chooses the route of each recipient: the first one with a pattern that matches.

Patterns are `*` (all recipients), `example.com` or `@example.com` (the domain without its
subdomains) and `user@example.com` (the mailbox, with any subaddress). The order of the routes
decides, not how exact a pattern is: put `*` last.

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
        for rank, (patterns, route) in enumerate(routes):
            self.routes.append(route)
            for key in _keys(patterns, rank):
                self._ranks.setdefault(key, rank)
        self._only = self.routes[0] if self._ranks.get(EVERYONE) == 0 else None

    def route(self, recipient: Recipient) -> Route | None:
        """Return the route for this recipient, None if no pattern matches."""
        if self._only is not None:
            return self._only
        rank = min(self._matches(recipient), default=None)
        return None if rank is None else self.routes[rank]

    def has_pattern_for(self, recipient: Recipient) -> bool:
        """Return whether the route of a recipient has a pattern for its domain or address.

        The pattern for all recipients does not count.
        """
        ranks = self._ranks
        rank = min(self._matches(recipient), default=None)
        return rank is not None and any(ranks.get(key) == rank for key in self._keys_of(recipient))

    def split(self, recipients: list[Recipient]) -> list[tuple[Route, list[Recipient]]]:
        """Return each route with the recipients it serves, in order of first use.

        Raise `DeliveryError` if a recipient has no route, so that none is dropped silently.
        """
        if self._only is not None:
            return [(self._only, recipients)]
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


def _keys(patterns: Sequence[str], number: int) -> list[str]:
    if not patterns:
        raise ValueError(f"route[{number}].for: expected at least one pattern, found none")
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
