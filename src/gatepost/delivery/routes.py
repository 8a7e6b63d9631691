"""Which route a recipient's mail takes: the first that names it.

A route names recipients by patterns: `*` (everyone), `example.com` or `@example.com` (everyone
there, not in subdomains) and `user@example.com` (that mailbox, with any subaddress). The order of
the routes decides, not how exact a pattern is: put `*` last.

One dictionary from pattern to route serves them all, so the cost does not grow with their number.
"""

from collections.abc import Iterable, Sequence

from gatepost.delivery.target import DeliveryError, Route
from gatepost.model.address import Address, domain_key, local_key, parse_domain
from gatepost.model.session import Recipient

EVERYONE = "*"


class Router:
    """Chooses routes.

    `routes` are pairs of patterns and a route, `hostname` the domain of `<postmaster>`. Raises
    ValueError, with the number of the route, for a pattern that is none.
    """

    def __init__(self, routes: Iterable[tuple[Sequence[str], Route]], *, hostname: str) -> None:
        self._hostname = domain_key(hostname)
        self.routes: list[Route] = []
        self._ranks: dict[str, int] = {}
        for rank, (patterns, route) in enumerate(routes):
            self.routes.append(route)
            for key in _keys(patterns, rank + 1):
                self._ranks.setdefault(key, rank)
        self._only = self.routes[0] if self._ranks.get(EVERYONE) == 0 else None

    def route(self, recipient: Recipient) -> Route | None:
        """Return the route for this recipient, None where none names it."""
        if self._only is not None:
            return self._only
        rank = min(self._matches(recipient), default=None)
        return None if rank is None else self.routes[rank]

    def split(self, recipients: list[Recipient]) -> list[tuple[Route, list[Recipient]]]:
        """Return each route with the recipients it serves, in order of first use.

        Raises `DeliveryError` where a recipient has no route: none is dropped silently.
        """
        if self._only is not None:
            return [(self._only, recipients)]
        shares: dict[Route, list[Recipient]] = {}
        for recipient in recipients:
            route = self.route(recipient)
            if route is None:
                detail = f"no route for {recipient.address}"
                raise DeliveryError("A recipient's mail cannot be delivered now", detail=detail)
            shares.setdefault(route, []).append(recipient)
        return list(shares.items())

    async def stop(self) -> None:
        """Have every target let go of what it holds open: no delivery will come any more."""
        for route in self.routes:
            stop = getattr(route.target, "stop", None)
            if stop is not None:
                await stop()

    def _matches(self, recipient: Recipient) -> Iterable[int]:
        address = recipient.address
        local = local_key(address.local)
        domain = domain_key(address.domain) or self._hostname
        keys = (f"{local}@{domain}", f"{recipient.user or local}@{domain}", domain, EVERYONE)
        return (self._ranks[key] for key in keys if key in self._ranks)


def _keys(patterns: Sequence[str], number: int) -> list[str]:
    if not patterns:
        raise ValueError(f"route {number}: expected at least one pattern, found none")
    try:
        return [pattern_key(pattern) for pattern in patterns]
    except ValueError as error:
        expected = "*, a domain, @domain or an address"
        raise ValueError(f"route {number}: expected {expected}: {error}") from error


def pattern_key(pattern: str) -> str:
    """Return what all spellings of a pattern have in common; raises ValueError if it is none."""
    if pattern == EVERYONE:
        return EVERYONE
    if "@" in pattern[1:]:
        return Address.parse(pattern).key
    return parse_domain(pattern.removeprefix("@"))
