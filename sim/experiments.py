"""The experiments: the ladder of rules, attacks, ablations and the tornado of the assumptions.

Each run is one simulation with one seed. Runs are independent, so that processes share them; the
result does not depend on their number.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from sim.actors.actor import Extent
from sim.actors.attackers import Disarmer, Mixer, Poisoner, WarmUp
from sim.actors.bulk import ListServers, OfficeMailings
from sim.actors.registry import ATTACKERS, HONEST, SPAMMERS
from sim.actors.spammers import DictionaryVerifier, SortedBlaster
from sim.control import Control, controls
from sim.kept import load, path_of, save
from sim.metrics import Metrics, Series
from sim.oracle import GroupRow, Row, groups, table
from sim.parameters import Values
from sim.policy.settings import (
    ABLATIONS,
    DEFAULT,
    LADDER,
    LISTS,
    MINIMUMS,
    PATIENT,
    REFUSES,
    REGISTERED,
    SHIELDS,
    Settings,
)
from sim.simulation import Plan, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from sim.actors.actor import Actor

SHORT_DAYS = 10.0  # for ablations and the tornado, which compare runs of the same seed
QUICK = Extent(days=4.0, attempts=0.05)
EVERYONE = (*HONEST, *SPAMMERS)
_TORNADO_ACTORS = (*HONEST, *(one for one in SPAMMERS if one not in (WarmUp, Mixer)))
MAIN = {name: LADDER[name] for name in (LISTS, DEFAULT)}
ATTACKED = {name: LADDER[name] for name in (LISTS, DEFAULT, REFUSES)}
STEPS = {name: one for name, one in LADDER.items() if name not in ATTACKED}
FACTORS = (0.5, 2.0)
FEW_SEEDS = 2  # of what is compared with the main configurations
# The assumptions that are varied: rates of mistakes, what lists contain, and shared networks.
VARIED = (
    *("stale share, a", "stale share, lists, a", "stale is recycled", "new contacts"),
    *("senders on shared networks", "providers in the shipped list", "senders next to bots"),
    *("correspondents written to", "live share of a list", "traps on a list"),
    *("message identifiers on a list", "networks of a botnet", "seeds that are harvested"),
)
SEED = 1


class Job(NamedTuple):
    """One simulation: the table and the row it belongs to, and its arguments."""

    table: str
    row: str
    plan: Plan
    settings: Settings
    seed: int


@dataclass
class Results:
    """The runs of each row of each table."""

    tables: dict[str, dict[str, Series]] = field(default_factory=dict)
    oracle: list[Row] = field(default_factory=list)
    groups: list[GroupRow] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)

    def add(self, job: Job, metrics: Metrics) -> None:
        """Add the metrics of a run."""
        rows = self.tables.setdefault(job.table, {})
        rows.setdefault(job.row, Series()).runs.append(metrics)


class Choice(NamedTuple):
    """The choice of what to run; `only` names tables, `quick` is a trial of a few days.

    `share` is the share of a company's mail that is played, of botnets a fifth of it. `keep` is the
    folder of finished runs, which are not played again.
    """

    sizes: Sequence[str] = ("small", "company")
    seeds: int = 10
    days: float = 35.0
    share: float = 0.02
    only: Sequence[str] = ()
    quick: bool = False
    jobs: int = 1
    keep: Path | None = None

    @property
    def few(self) -> Sequence[int]:
        """The seeds of small experiments."""
        return range(1, min(self.seeds, 3) + 1)

    def extent(self, size: str) -> Extent:
        """Return the extent of a size."""
        extent = QUICK if self.quick else Extent(self.days)
        share = 0.002 if self.quick else self.share
        is_part = size == "company"
        return extent._replace(share=share, spam=share / 5) if is_part else extent

    def has(self, name: str) -> bool:
        """Return whether a table is chosen."""
        return not self.only or name in self.only


TABLES = ("ladder", "patient", "minimum", "attacks", "ablations", "tornado", "oracle", "control")


def run(choice: Choice, done: Callable[[Results], None] = lambda _results: None) -> Results:
    """Run the chosen experiments; `done` is called after each."""
    results, jobs = Results(), list(_jobs(choice))
    with ProcessPoolExecutor(choice.jobs) as pool:
        for number, (job, metrics) in enumerate(
            zip(jobs, pool.map(partial(_play, choice.keep), jobs), strict=True), 1
        ):
            results.add(job, metrics)
            done(results)
            print(f"sim: {number} of {len(jobs)}: {job.table}, {job.row}", file=sys.stderr)
    if choice.has("oracle"):
        results.oracle, results.groups = table(SEED), groups(SEED)
    if choice.has("control"):
        results.controls = controls(LADDER[DEFAULT], SEED, 30 if choice.quick else 300)
    return results


def _play(keep: Path | None, job: Job) -> Metrics:
    """Return the result of a run, from the folder if it was played before."""
    if keep is None:
        return simulate(job.plan, job.settings, job.seed)
    path = path_of(keep, job)
    metrics = load(path)
    if metrics is None:
        metrics = simulate(job.plan, job.settings, job.seed)
        save(path, metrics)
    return metrics


def _jobs(choice: Choice) -> Iterable[Job]:
    """Yield the runs, the longest first."""
    for size in reversed(choice.sizes):
        if choice.has("ladder"):
            yield from _ladder(choice, size)
    small = choice.extent("small")
    short = small._replace(days=min(small.days, SHORT_DAYS))
    if choice.has("patient"):
        actors = (DictionaryVerifier, SortedBlaster, Mixer)
        yield from _rows("patient", PATIENT, actors, small, choice.few)
    if choice.has("minimum"):
        bulk = (ListServers, OfficeMailings, SortedBlaster)
        company = choice.extent("company")
        yield from _rows("minimum", MINIMUMS, bulk, company, choice.few, size="company")
    if choice.has("attacks"):
        yield from _rows("attacks", ATTACKED, ATTACKERS, small, (SEED,))
        yield from _rows("registered", REGISTERED, (Poisoner, Disarmer), small, (SEED,))
    if choice.has("ablations"):
        yield from _rows("ablations", ABLATIONS, EVERYONE, short, (SEED,))
        yield from _rows("ablations, attacks", SHIELDS, ATTACKERS, short, (SEED,))
    if choice.has("tornado"):
        yield from _tornado(short)


def _ladder(choice: Choice, size: str) -> Iterable[Job]:
    """Yield the main configurations for all seeds, the others for a few."""
    table, extent = f"ladder, {size}", choice.extent(size)
    seeds = range(1, choice.seeds + 1)
    yield from _rows(table, MAIN, EVERYONE, extent, seeds, size=size)
    others = STEPS if size == "small" else {}
    others = {**others, REFUSES: LADDER[REFUSES]}
    yield from _rows(table, others, EVERYONE, extent, seeds[:FEW_SEEDS], size=size)


def _rows(
    name: str,
    chosen: Mapping[str, Settings],
    actors: Sequence[type[Actor]],
    extent: Extent,
    seeds: Iterable[int],
    *,
    size: str = "small",
) -> Iterable[Job]:
    for seed in seeds:
        for row, settings in chosen.items():
            yield Job(name, row, Plan(actors, size, extent), settings, seed)


def _tornado(extent: Extent) -> Iterable[Job]:
    values, settings = Values(), LADDER[DEFAULT]
    yield Job("tornado", "as assumed", Plan(_TORNADO_ACTORS, "small", extent), settings, SEED)
    for name in VARIED:
        for factor in FACTORS:
            plan = Plan(_TORNADO_ACTORS, "small", extent, values.scaled(name, factor))
            yield Job("tornado", f"{name} x {factor:g}", plan, settings, SEED)
