"""Tables of what the rules cost: legitimate mail refused, cut off or marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.table import Table

from sim.metrics import Count, total
from sim.policy.settings import DEFAULT, LISTS, REFUSES
from sim.tables.cells import NAMES, percent, rate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sim.tables.coverage import Sites

SHOWN = (LISTS, DEFAULT, REFUSES)
STANDINGS = ("trusted", "acquainted", "regular", "stranger", "unproven")


def legitimate_tables(sites: Sites) -> dict[str, Table]:
    """Return the tables of all sites together."""
    return {
        "legitimate": _legitimate(sites),
        "losses": _losses(sites),
        "standing": _standing(sites),
    }


def pooled(sites: Sites, row: str) -> Count:
    """Return the legitimate messages of all sites and seeds with a configuration."""
    return total(rows[row].pooled.all_legitimate() for rows in sites.values() if row in rows)


def pooled_standing(sites: Sites, row: str, standings: Iterable[str]) -> Count:
    """Return those of senders with one of these standings."""
    runs = [rows[row].pooled for rows in sites.values() if row in rows]
    return total(run.standings.get(one, Count()) for run in runs for one in standings)


def _legitimate(sites: Sites) -> Table:
    header = (
        *("site", "rules", "seeds", "messages", "refused because of traps", "of 100,000 (95 %)"),
        *("worst seed", "cut off", "marked"),
    )
    table = Table("Legitimate messages", header)
    for size, rows in sites.items():
        for row in (one for one in SHOWN if one in rows):
            counts = [run.all_legitimate() for run in rows[row].runs]
            worst = str(max(one.refused for one in counts))
            cells = _cells(total(counts), worst)
            table.rows.append((NAMES[size], row, str(len(counts)), *cells))
    for row in SHOWN if len(sites) > 1 else ():
        table.rows.append(("both", row, "", *_cells(pooled(sites, row), "")))
    return table


def _cells(count: Count, worst: str) -> tuple[str, ...]:
    marked = f"{count.marked:,} ({percent(count.marked / max(1, count.messages))})"
    return f"{count.messages:,}", f"{count.refused:,}", rate(count), worst, f"{count.cut:,}", marked


def _losses(sites: Sites) -> Table:
    """Return the senders whose mail was touched."""
    header = ("sender", "message", "site", "rules", "messages", "refused", "cut off", "marked")
    table = Table("Senders of legitimate mail that is not simply accepted", header)
    for size, rows in sites.items():
        for row in (one for one in SHOWN if one in rows):
            for (actor, label), one in sorted(rows[row].pooled.legitimate.items()):
                if found := (one.refused, one.cut, one.marked) if _is_touched(one) else ():
                    counts = (f"{number:,}" for number in (one.messages, *found))
                    table.rows.append((actor, label, NAMES[size], row, *counts))
    return table


def _is_touched(one: Count) -> bool:
    return one.refused + one.cut + one.marked > 0


def _standing(sites: Sites) -> Table:
    header = ("rules", "sender", "messages", "refused", "of 100,000 (95 %)", "marked")
    table = Table("Legitimate messages by standing", header)
    for row in SHOWN:
        for standing in STANDINGS:
            one = pooled_standing(sites, row, [standing])
            cells = f"{one.messages:,}", f"{one.refused:,}", rate(one), f"{one.marked:,}"
            table.rows.append((row, standing, *cells))
    return table
