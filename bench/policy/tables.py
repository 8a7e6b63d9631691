"""The tables of the load with a full policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.policy.measure import Cost, Costs

REFERENCE = "gatepost"  # ratios are to this one
CHECKS = ("spf", "dkim", "dmarc", "dnsbl")


def cost_table(costs: Costs) -> Table:
    """Return the table of all loads."""
    header = ("load", "server", "CPU ms", "range", f"ratio to {REFERENCE}", "by program", "DNS ms")
    rows = [
        _cost_row(load, name, by_server) for load, by_server in costs.items() for name in by_server
    ]
    return Table("Full policy", header, rows)


def _cost_row(load: str, name: str, by_server: Mapping[str, Sequence[Cost]]) -> tuple[str, ...]:
    best = _cheapest(by_server[name])
    totals = [cost.total for cost in by_server[name]]
    reference = by_server.get(REFERENCE)
    ratio = f"{best.total / _cheapest(reference).total:.2f}" if reference else ""
    parts = ", ".join(f"{part} {value:.2f}" for part, value in best.parts.items())
    spread = f"{min(totals):.2f} - {max(totals):.2f}"
    return (load, name, f"{best.total:.2f}", spread, ratio, parts, f"{best.dns:.2f}")


def _cheapest(costs: Sequence[Cost]) -> Cost:
    return min(costs, key=lambda cost: cost.total)


def proof_table(found: Mapping[str, Mapping[str, int]]) -> Table:
    """Return the table of what the checks of each server have found."""
    rows = [
        (name, *(str(one[check]) if check in one else "no check" for check in CHECKS))
        for name, one in found.items()
        if one
    ]
    return Table("Messages that passed a check, and answers of lists", ("server", *CHECKS), rows)


def missed(found: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return the checks that a server has but that have found nothing."""
    return [
        f"{name}: {check} has found nothing"
        for name, one in found.items()
        for check, count in one.items()
        if not count
    ]
