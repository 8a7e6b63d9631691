"""Tables of what the rules stop: by actor, by rule, after the usual filters, and how soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.table import Table

from sim.metrics import Count, Series
from sim.policy.settings import DEFAULT, LADDER, LISTS, REFUSES
from sim.tables.cells import NAMES, NONE, percent, rate, shares

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.metrics import Metrics

    Rows = Mapping[str, Series]
    Sites = Mapping[str, Rows]

_SHOWN = (LISTS, DEFAULT, REFUSES)


def coverage_tables(sites: Sites) -> dict[str, Table]:
    """Return the tables of all sites; `sites` has the rows of the ladder of each."""
    found = {f"coverage {size}": _coverage(size, rows) for size, rows in sites.items()}
    found |= {f"rules {size}": _rules(size, rows) for size, rows in sites.items()}
    return found | {"marginal": _marginal(sites), "detection": _detection(sites)}


def parts_of(rows: Rows) -> list[tuple[str, str]]:
    """Return the actors and labels of spam, in order."""
    return sorted({key for one in rows.values() for run in one.runs for key in run.spam})


def _coverage(size: str, rows: Rows) -> Table:
    header = (
        *("actor", "part", "messages", "lists: refused", "default: refused", "not delivered"),
        *("or marked", "worst seed", "memory refuses: not delivered", "worst seed"),
    )
    table = Table(f"Coverage, {NAMES[size]}", header)
    for key in parts_of(rows):
        pooled = {row: _pooled(rows, row, key) for row in _SHOWN}
        default, refuses = (rows.get(row, Series()) for row in (DEFAULT, REFUSES))
        cells = (
            f"{pooled[DEFAULT].messages:,}",
            percent(pooled[LISTS].coverage),
            percent(pooled[DEFAULT].coverage),
            percent(pooled[DEFAULT].undelivered),
            *shares(default.shares(*key, lambda one: one.stopped)),
            *shares(refuses.shares(*key, lambda one: one.undelivered)),
        )
        table.rows.append((key[0], key[1] or NONE, *cells))
    return table


def _pooled(rows: Rows, row: str, key: tuple[str, str]) -> Count:
    return rows[row].pooled.spam.get(key, Count()) if row in rows else Count()


def _rules(size: str, rows: Rows) -> Table:
    """Return one rule more in each row, with the seeds that all rows have."""
    header = (
        *("rules", "", "spam", "refused", "not delivered", "or marked"),
        *("legitimate", "refused, of 100,000 (95 %)", "marked"),
    )
    table = Table(f"One rule more at a time, {NAMES[size]}", header)
    seeds = min((len(one.runs) for one in rows.values()), default=0)
    for row in (one for one in LADDER if one in rows):
        metrics = Series(rows[row].runs[:seeds]).pooled
        table.rows.append((row, "", *_spam(metrics.all_spam()), *_mail(metrics.all_legitimate())))
    return table


def _spam(count: Count) -> tuple[str, ...]:
    each = (count.coverage, count.undelivered, count.stopped)
    return f"{count.messages:,}", *map(percent, each)


def _mail(count: Count) -> tuple[str, ...]:
    return f"{count.messages:,}", rate(count), f"{count.marked:,}"


def _marginal(sites: Sites) -> Table:
    header = ("site", "rules", "spam", "passes the baseline", "refused", "or marked")
    table = Table("Coverage of the spam that a block list and a content filter let pass", header)
    for size, rows in sites.items():
        for row in (one for one in _SHOWN if one in rows):
            count = rows[row].pooled.all_spam()
            cells = f"{count.messages:,}", f"{count.passed:,}"
            found = percent(count.marginal), percent(count.marginal_touched)
            table.rows.append((NAMES[size], row, *cells, *found))
    return table


def _detection(sites: Sites) -> Table:
    header = (
        *("site", "actor", "campaigns", "detected", "before (median)", "before (90 %)"),
        "after (median)",
    )
    table = Table("Time to detect, default", header)
    for size, rows in sites.items():
        if DEFAULT in rows:
            metrics = rows[DEFAULT].pooled
            names = sorted({name for name, _ in parts_of(rows)})
            found = ((NAMES[size], name, *_detected(metrics, name)) for name in names)
            table.rows += [one for one in found if one[2] != "0"]
    return table


def _detected(metrics: Metrics, actor: str) -> tuple[str, ...]:
    found = metrics.detection(actor)
    after = f"{found.seconds / 60:.0f} min" if found.detected else NONE
    counts = f"{found.campaigns:,}", f"{found.detected:,}"
    return *counts, f"{found.before:g}", str(found.before_90), after
