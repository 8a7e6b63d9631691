"""Routes that are missing, never reached or of no use to those they are for."""

from collections.abc import Iterator

from gatepost.config.schema import Config
from gatepost.delivery.routes import EVERYONE, pattern_key
from gatepost.model.address import Address
from gatepost.model.session import Recipient
from gatepost.session.assemble import Lists
from gatepost.session.setup import Setup


def unrouted(config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of recipients that no route is for."""
    if not config.route:
        yield "there is no [[route]]: every recipient is deferred with 451 4.3.5"
        return
    for source in setup.domains:
        for key in source.current:
            domain = f"any{key}" if key.startswith(".") else key
            rcpt = Recipient(Address("any", domain), {}, "any", domain)
            if setup.router.route(rcpt) is None:
                yield (
                    f"no [[route]] takes all of {key}: recipients there that none names are"
                    " deferred with 451 4.3.5"
                )


def relays(config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of ways out that nobody can take, for there is nobody with a name."""
    for number, route in enumerate(config.route):
        if route.relay_for != "none" and setup.authority is None:
            yield f"route[{number}].relay_for is of no use: no [[listen]] has auth"


def hidden(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of routes, or patterns of theirs, that a route before them hides."""
    taken: dict[str, int] = {}
    for number, route in enumerate(config.route):
        if EVERYONE in taken:
            table = ".relay_for" if route.relay_for != "none" else ""
            first = f"route[{taken[EVERYONE]}]"
            yield f"route[{number}]{table} is of no use: {first} takes everyone before it"
            continue
        keys = {pattern_key(pattern): pattern for pattern in route.for_}
        for key, pattern in keys.items():
            earlier = _taker(taken, key)
            if earlier is not None:
                yield f"route[{number}].for has {pattern}: route[{earlier}] takes its mail before"
        for key in keys:
            taken.setdefault(key, number)


def _taker(taken: dict[str, int], key: str) -> int | None:
    """Return the route that has all mail for this key already."""
    _, _, domain = key.rpartition("@")
    return taken.get(key, taken.get(domain))
