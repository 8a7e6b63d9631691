"""Mail of clients that may relay: Haraka queues it, and delivers it by MX."""

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from gatepost.migration.draft import Table
from gatepost.migration.entries import domain
from gatepost.migration.haraka.ini import MAIN, Ini, read_ini
from gatepost.migration.job import Job
from gatepost.migration.toml import Value

# Domains in `for` of a route.
MOST_DOMAINS = 1000
_INTERVAL = re.compile(r"([0-9]{1,6})([smhd])(?:\*([0-9]{1,2}))?")
_PAGE = "relay.md#foreign-domains"


def add_relay(job: Job) -> None:
    """Add a route for other domains, if any client may relay.

    The routes before it are for all recipients, so they become routes for the own domains.
    """
    ini = read_ini(job.source, "outbound.ini")
    _read_queue(job, ini)
    if not job.relay_for:
        return
    networks: list[Value] = [*dict.fromkeys(job.relay_for)]
    for route in job.draft.routes:
        if route.keys["for"] != ["*"]:
            route.keys["relay_for"] = networks
    domains = _own_domains(job)
    if domains is None:
        text = "relay: other domains need a [[route]] with relay_for behind those of your domains"
        job.findings.left("route", text, _PAGE)
        return
    for route in job.draft.routes:
        route.keys["for"] = domains if route.keys["for"] == ["*"] else route.keys["for"]
    relay: dict[str, Value] = {"for": ["*"], "to": "mx:", "mode": "queue", "relay_for": networks}
    if not ini.true(MAIN, "enable_tls", default=True):
        relay["client"] = {"tls": "none"}
    job.draft.routes.append(Table(relay, ini.place))
    job.findings.taken(ini.place, "route of relaying clients to mx:, by the queue", _PAGE)


def _own_domains(job: Job) -> list[Value] | None:
    """Return the own domains, None if they cannot be listed in a route."""
    names = [*islice(_listed(job), MOST_DOMAINS + 1)]
    others = job.draft.get("recipients.domains")
    direct = [one for one in others if isinstance(one, str)] if isinstance(others, list) else []
    if any(one.startswith((".", "*")) for one in direct) or len(names) > MOST_DOMAINS:
        return None
    found = [*names, *(one for one in direct if not one.startswith("file:"))]
    return [*dict.fromkeys(found)] or None


def _listed(job: Job) -> Iterator[str]:
    for line in job.source.lines("host_list"):
        with suppress(ValueError):  # a finding of the list itself
            yield domain(line)


def _read_queue(job: Job, ini: Ini) -> None:
    concurrency = ini.number("concurrency_max", most=10_000)
    if concurrency:
        job.draft.set("queue.concurrency", concurrency, ini.place)
    waits = _intervals(ini.get("temp_fail_intervals"))
    if waits:
        job.draft.set("queue.retry", waits, ini.place)
    if ini.true(MAIN, "disabled"):
        text = "outbound is disabled there; here gatepost queue shows and holds mail"
        job.findings.different(ini.place, text, "queue.md")


def _intervals(text: str) -> list[Value]:
    """Return the waits between delivery attempts of a text such as "1m, 5m*2", [] for another."""
    found: list[Value] = []
    for part in filter(None, re.split(r"[\s,]+", text)):
        match = _INTERVAL.fullmatch(part)
        if match is None:
            return []
        found += [f"{match[1]}{match[2]}"] * int(match[3] or 1)
    return found
