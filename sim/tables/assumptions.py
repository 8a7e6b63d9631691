"""Tables of the parameters, of their effects, and of the cost of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.table import Table

from sim.experiments import FACTORS, VARIED
from sim.parameters import PARAMETERS
from sim.policy.settings import LADDER
from sim.tables.cells import NAMES, percent

if TYPE_CHECKING:
    from sim.metrics import Metrics
    from sim.tables.coverage import Rows, Sites

BASELINE = "as assumed"


def parameter_table() -> Table:
    """Return all parameters with their sources."""
    table = Table("Parameters", ("parameter", "value", "meaning", "source"))
    for name, one in PARAMETERS.items():
        table.rows.append((name, f"{one.value:g}", one.meaning, one.source))
    return table


def tornado_tables(rows: Rows) -> dict[str, Table]:
    """Return the effect of half and of twice each assumption."""
    if BASELINE not in rows:
        return {}
    spam, mail = "spam stopped or marked", "legitimate refused or marked"
    table = Table("Assumptions", ("parameter", "value", spam, "x 0.5", "x 2", mail, "x 0.5", "x 2"))
    base = rows[BASELINE].pooled
    for parameter in varied(rows):
        runs = [base, *ends(rows, parameter)]
        value = f"{PARAMETERS[parameter].value:g}"
        found = (percent(one.all_spam().stopped) for one in runs)
        mails = (str(_touched_legitimate(one)) for one in runs)
        table.rows.append((parameter, value, *found, *mails))
    return {"tornado": table}


def ends(rows: Rows, parameter: str) -> list[Metrics]:
    """Return the runs with half and with twice a parameter."""
    return [rows[f"{parameter} x {factor:g}"].pooled for factor in FACTORS]


def varied(rows: Rows) -> list[str]:
    """Return the parameters, the one with the largest effect on coverage first."""
    names = [name for name in VARIED if all(f"{name} x {one:g}" in rows for one in FACTORS)]
    return sorted(names, key=lambda name: -_effect(rows, name))


def _effect(rows: Rows, parameter: str) -> float:
    """Return the difference of coverage between both ends of a parameter."""
    low, high = (one.all_spam().stopped for one in ends(rows, parameter))
    return abs(high - low)


def _touched_legitimate(metrics: Metrics) -> int:
    count = metrics.all_legitimate()
    return count.refused + count.marked


def cost_table(sites: Sites) -> Table:
    """Return the CPU time of a session."""
    table = Table("Cost", ("site", "rules", "sessions", "ms of CPU for each"))
    for size, rows in sites.items():
        for row in (one for one in LADDER if one in rows):
            metrics = rows[row].pooled
            each = 1e3 * metrics.seconds / max(1, metrics.sessions)
            table.rows.append((NAMES[size], row, f"{metrics.sessions:,}", f"{each:.2f}"))
    return table
