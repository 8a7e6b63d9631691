"""Checks routes: missing ones, and routes or options without effect."""

from collections.abc import Iterator

from gatepost.config.schema import Config
from gatepost.delivery.routes import EVERYONE, pattern_key
from gatepost.model.address import Address
from gatepost.model.session import Recipient
from gatepost.session.assemble import Lists
from gatepost.session.setup import Setup


def unrouted(_config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    """Yield the domains for which no route matches every recipient."""
    for source in setup.domains:
        for key in source.current:
            domain = f"any{key}" if key.startswith(".") else key
            rcpt = Recipient(Address("any", domain), {}, "any", domain)
            if setup.router.route(rcpt) is None:
                yield (
                    f"no [[route]] matches all of {key}: other recipients there are deferred with"
                    " 451 4.3.5"
                )


def shared_maildirs(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Yield Maildirs that receive the mail of several recipients."""
    for number, route in enumerate(config.route):
        several = len(route.for_) > 1 or any("@" not in pattern for pattern in route.for_)
        if route.to.startswith("maildir:") and several and "{local}" not in route.to:
            yield (
                f"route[{number}].to: all mail of this route goes to one Maildir, expected"
                " {domain} and {local} in its path"
            )


def relays(config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    """Yield routes for authenticated clients if no client can authenticate."""
    for number, route in enumerate(config.route):
        if route.relay_for != "none" and setup.authority is None:
            yield f"route[{number}].relay_for has no effect: no [[listen]] has auth"


def hidden(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Yield routes and patterns that an earlier route hides."""
    first_route: dict[str, int] = {}
    for number, route in enumerate(config.route):
        if EVERYONE in first_route:
            table = ".relay_for" if route.relay_for != "none" else ""
            first = f"route[{first_route[EVERYONE]}]"
            yield f"route[{number}]{table} has no effect: {first} matches every recipient before it"
            continue
        keys = {pattern_key(pattern): pattern for pattern in route.for_}
        for key, pattern in keys.items():
            earlier = _earlier(first_route, key)
            if earlier is not None:
                first = f"route[{earlier}]"
                yield f"route[{number}].for: {pattern} has no effect: {first} matches before it"
        for key in keys:
            first_route.setdefault(key, number)


def _earlier(first_route: dict[str, int], key: str) -> int | None:
    """Return the earlier route that gets all mail for this key."""
    _, _, domain = key.rpartition("@")
    return first_route.get(key, first_route.get(domain))
