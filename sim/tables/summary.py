"""The first table of the page: each target, what was found, and the verdict."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from bench.table import Table

from gatepost.traps.intervals import clopper_pearson
from sim.metrics import Series
from sim.policy.settings import DEFAULT, LISTS, REFUSES
from sim.tables.attacks import attempts
from sim.tables.cells import NAMES, NONE, percent
from sim.tables.legitimate import pooled, pooled_standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sim.experiments import Results
    from sim.metrics import Count
    from sim.tables.coverage import Rows, Sites

    Line = tuple[str, str, str, str]

_TITLES = {LISTS: "lists alone", DEFAULT: "default", REFUSES: "memory refuses"}
_COVERAGE = (("S1 dictionary", 0.99), ("S2 sorted list", 0.99), ("S3 snowshoe", 0.80))
_KNOWN = ("trusted", "acquainted")
_POINTS = 0.05
_MOST = 1.0  # refused in 100,000


def summary(results: Results, sites: Sites) -> Table:
    """Return the targets that there are results for."""
    table = Table("Targets", ("target", "rules", "found", "verdict"))
    table.rows += _legitimate(sites)
    for actor, least in _COVERAGE:
        table.rows += _coverage(sites, actor, least)
    table.rows += _botnet(sites)
    table.rows += _controls(results)
    table.rows += _attacks(results.tables.get("attacks", {}))
    table.rows += _registered(results.tables.get("registered", {}))
    table.rows += _oracle(results)
    return table


def _verdict(*, met: bool) -> str:
    return "met" if met else "missed"


def _legitimate(sites: Sites) -> Iterator[Line]:
    target = "legitimate refused because of traps: at most 1 in 100,000 (upper bound)"
    for row, title in _TITLES.items():
        if (count := pooled(sites, row)).messages:
            _, high = count.per_100_000()
            found = f"{count.refused:,} of {count.messages:,}, upper bound {high:.2f}"
            yield target, title, found, _verdict(met=high <= _MOST)
            target = ""
    target = "none of acquainted and trusted senders"
    for row, title in _TITLES.items():
        if (count := pooled_standing(sites, row, _KNOWN)).messages:
            found = f"{count.refused:,} of {count.messages:,}"
            yield target, title, found, _verdict(met=not count.refused)
            target = ""


def _coverage(sites: Sites, actor: str, least: float) -> Iterator[Line]:
    """Yield the medians of what is refused, of what is not delivered, and with marks."""
    target = f"{actor}: at least {100 * least:.0f} %"
    for size, rows in sites.items():
        counts = _counts(rows, DEFAULT, actor)
        if not counts:
            continue
        refused, gone, stopped = (
            percent(median(each))
            for each in (
                [one.coverage for one in counts],
                [one.undelivered for one in counts],
                [one.stopped for one in counts],
            )
        )
        worst = min(one.stopped for one in counts)
        found = f"refused {refused}, not delivered {gone}, or marked {stopped}"
        yield (
            target,
            f"default, {NAMES[size]}",
            f"{found} (worst seed {percent(worst)})",
            _reached(counts, least),
        )
        target = ""


def _reached(counts: Sequence[Count], least: float) -> str:
    if median(one.undelivered for one in counts) >= least:
        return "met"
    return "met with marks" if median(one.stopped for one in counts) >= least else "missed"


def _counts(rows: Rows, row: str, actor: str) -> list[Count]:
    """Return the spam of an actor in each run."""
    found = (run.spam_of(actor) for run in rows.get(row, Series()).runs)
    return [one for one in found if one.messages]


def _botnet(sites: Sites) -> Iterator[Line]:
    target = "S4 botnet: t/(t+1), 5 points"
    for size, rows in sites.items():
        runs = rows.get(DEFAULT, Series()).runs
        if not (counts := _counts(rows, DEFAULT, "S4 botnet")):
            continue
        theory = median(run.expected("S4 botnet") for run in runs)
        reached = median(one.stopped for one in counts)
        found = f"stopped or marked {percent(reached)}, formula {percent(theory)}"
        met = abs(reached - theory) <= _POINTS
        yield target, f"default, {NAMES[size]}", found, _verdict(met=met)
        target = ""


def _controls(results: Results) -> Iterator[Line]:
    if results.controls:
        most = max(abs(one.touched - one.expected) for one in results.controls)
        found = f"at most {100 * most:.1f} points from the formula"
        yield "control: the formula, 5 points", "default", found, _verdict(met=most <= _POINTS)


def _attacks(rows: Rows) -> Iterator[Line]:
    for actor, target in (
        ("A1", "poisoner: 0 of at least 1,000"),
        ("A2", "framer: 0 of at least 1,000"),
        ("A3", "disarmer: 0 of at least 1,000"),
    ):
        yield from _attack(rows, actor, target)


def _attack(rows: Rows, actor: str, target: str) -> Iterator[Line]:
    for row, title in _TITLES.items():
        if row in rows:
            won, number = attempts(rows[row].pooled, actor)
            _, high = clopper_pearson(won, number)
            found = f"{won:,} of {number:,}, upper bound {percent(high)}"
            yield target, title, found, _verdict(met=not won and number >= 1000)
            target = ""


def _registered(rows: Rows) -> Iterator[Line]:
    """Yield the attempts against learned traps and their guard."""
    for actor, target in (("A1", "poisoner of learned traps"), ("A3", "disarmer of learned traps")):
        for at, (row, series) in enumerate(rows.items()):
            won, number = attempts(series.pooled, actor)
            found = f"{won:,} of {number:,}"
            yield "" if at else target, row, found, _verdict(met=not won and number >= 1000)


def _oracle(results: Results) -> Iterable[Line]:
    """Yield how far the queries of the oracle are from theory."""
    if not results.oracle:
        return
    near = sum(one.is_as_expected for one in results.oracle)
    found = f"{near} of {len(results.oracle)} cases within a query or a quarter of theory"
    yield "oracle: as predicted", NONE, found, _verdict(met=near == len(results.oracle))
