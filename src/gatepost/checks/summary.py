"""The effect of a configuration in a few lines: listeners, recipients, traps, routes, queue."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from gatepost._build import describe_build
from gatepost.config.formats import is_table
from gatepost.config.redact import redact
from gatepost.config.schema import ASKING, Config, ListenConfig
from gatepost.config.units import format_duration
from gatepost.registry.registry import Registry
from gatepost.session.assemble import Lists
from gatepost.session.setup import Setup

# Values that are shown of each kind; the others are counted.
SHOWN = 3


def summary(config: Config, setup: Setup, lists: Lists) -> Iterator[tuple[str, str]]:
    """Yield names and values."""
    yield "listens on", _some([_listener(one) for one in config.listen])
    if config.web.listen:
        yield "dashboard", f"{config.web.listen} ({'HTTPS' if config.web.tls else 'HTTP'})"
    yield "domains", f"{_entries(lists.domains)} ({_some(config.recipients.domains)})"
    yield "known recipients", _known(config, lists)
    yield "traps", _traps(config, lists)
    for route in islice(config.route, SHOWN):
        recipients = _some(route.for_) if route.for_ else "those that plugins choose"
        name = f" ({route.name})" if route.name else ""
        yield "route", f"{recipients} to {redact(route.to)}{name}"
    if len(config.route) > SHOWN:
        yield "route", f"and {len(config.route) - SHOWN} more"
    yield "queue", _queue(config, setup)
    yield "TLS", _some([str(one.cert) for one in config.tls.certificates])
    yield "users", _some([config.auth.users] if config.auth.users else [])
    yield "plugins", _some([one.plugin.name for one in setup.plugins.installed])
    yield "runs as", config.server.user or "the user that starts it"
    yield "build", describe_build()


def _listener(listen: ListenConfig) -> str:
    extras: list[str] = [listen.protocol]
    extras += [] if listen.tls == "none" else [f"TLS {listen.tls}"]
    extras += ["AUTH"] if listen.auth else []
    return f"{listen.address} ({', '.join(extras)})"


def _known(config: Config, lists: Lists) -> str:
    if not config.recipients.known and all(one.protocol in ASKING for one in config.listen):
        return "no list: those of the mail server that asks"
    if not config.recipients.known:
        return "no list: every address, or those that the next hop accepts"
    tables = [one for one in config.recipients.known if is_table(one)]
    return ", ".join(filter(None, (_entries(lists.known) if lists.known else "", *tables)))


def _traps(config: Config, lists: Lists) -> str:
    traps = config.traps
    found = _entries(lists.traps) + _registered(lists.registry)
    if traps.action == "shadow":
        return f"{found}, shadow mode: hits are only logged"
    delay = f" after {format_duration(traps.delay)}" if traps.delay else ""
    return f"{found}, a hit is refused{delay}"


def _registered(registry: Registry) -> str:
    """Return how many registered traps there are of each state."""
    states = Counter(one.state for one in registry.traps())
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return f", registered: {counts}" if counts else ""


def _queue(config: Config, setup: Setup) -> str:
    if all(one.protocol in ASKING for one in config.listen):
        return "that of the mail server that asks"
    if not any(route.spools for route in setup.router.routes):
        return "not used: the client waits until its message is delivered"
    return f"{config.data_dir / 'spool'}, mail expires after {format_duration(config.queue.expire)}"


def _entries(sources: Sequence[Any]) -> str:
    count = sum(len(getattr(one, "current", one)) for one in sources)
    return f"{count} {'entry' if count == 1 else 'entries'}"


def _some(values: Sequence[str]) -> str:
    """Return the first values, and the number of the others."""
    more = len(values) - SHOWN
    text = ", ".join(values[:SHOWN]) or "none"
    return f"{text} and {more} more" if more > 0 else text
