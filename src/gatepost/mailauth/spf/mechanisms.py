"""The mechanisms that compare the client with records (RFC 7208 section 5), without include.

A function returns what matched, for the reason, and None if the mechanism does not match.
"""

from collections.abc import Callable, Mapping

from gatepost.mailauth.hosts import is_name
from gatepost.mailauth.shown import shown
from gatepost.mailauth.spf.client import Client
from gatepost.mailauth.spf.lookups import Lookups, is_within
from gatepost.mailauth.spf.problem import SpfError
from gatepost.mailauth.spf.record import Mechanism
from gatepost.net.questions import Check

Matcher = Callable[[Lookups, Mechanism, str], Check[str | None]]


# They ask nothing. The value is the IP version that they match, 0 for each.
AT_ONCE = {"all": 0, "ip4": 4, "ip6": 6}


def match_at_once(client: Client, mechanism: Mechanism) -> bool:
    """Return whether a mechanism of `AT_ONCE` matches."""
    version = AT_ONCE[mechanism.name]
    if version == client.version:
        return mechanism.covers(version, mechanism.network, client.number)
    return not version


def _a(lookups: Lookups, mechanism: Mechanism, domain: str) -> Check[str | None]:
    target = yield from lookups.target(mechanism, domain)
    return (yield from lookups.match_hosts(mechanism, [target] if target else [], domain))


def _mx(lookups: Lookups, mechanism: Mechanism, domain: str) -> Check[str | None]:
    target = yield from lookups.target(mechanism, domain)
    if not target:
        return None
    records = yield from lookups.ask("MX", target)
    if not records:
        lookups.count_void(mechanism.text, domain)
        return None
    if len(records) > lookups.limits.hosts:
        term = f"{shown(mechanism.text)} of {shown(domain)}"
        raise SpfError("permerror", f"more than {lookups.limits.hosts} MX records, at {term}")
    # a null MX (RFC 7505) has no host
    hosts = dict.fromkeys(host for _, host in sorted(records) if is_name(host))
    return (yield from lookups.match_hosts(mechanism, list(hosts), domain))


def _ptr(lookups: Lookups, mechanism: Mechanism, domain: str) -> Check[str | None]:
    target = yield from lookups.target(mechanism, domain)
    if not target:
        return None
    pointers = yield from lookups.pointers()
    if pointers.status in {"empty", "absent"}:
        lookups.count_void(mechanism.text, domain)
    return next((shown(name) for name in lookups.names if is_within(name, target)), None)


def _exists(lookups: Lookups, mechanism: Mechanism, domain: str) -> Check[str | None]:
    target = yield from lookups.target(mechanism, domain)
    if not target:
        return None
    if (yield from lookups.ask("A", target)):
        return target
    lookups.count_void(mechanism.text, domain)
    return None


ASKING: Mapping[str, Matcher] = {"a": _a, "mx": _mx, "ptr": _ptr, "exists": _exists}
