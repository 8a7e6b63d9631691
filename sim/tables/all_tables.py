"""All tables of the results, by key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.tables.assumptions import cost_table, parameter_table, tornado_tables
from sim.tables.attacks import (
    ablated_attack_tables,
    ablation_tables,
    attack_tables,
    minimum_tables,
    patient_tables,
    registered_tables,
)
from sim.tables.coverage import coverage_tables
from sim.tables.legitimate import legitimate_tables
from sim.tables.summary import summary
from sim.tables.theory import theory_tables

if TYPE_CHECKING:
    from bench.table import Table

    from sim.experiments import Results
    from sim.tables.coverage import Sites

_BY_EXPERIMENT = {
    "attacks": attack_tables,
    "registered": registered_tables,
    "ablations": ablation_tables,
    "ablations, attacks": ablated_attack_tables,
    "patient": patient_tables,
    "minimum": minimum_tables,
    "tornado": tornado_tables,
}
SIZES = ("small", "company")


def tables(results: Results) -> dict[str, Table]:
    """Return all tables that have rows."""
    sites = sites_of(results)
    found = {"summary": summary(results, sites)}
    if sites:
        found |= coverage_tables(sites) | legitimate_tables(sites) | {"cost": cost_table(sites)}
    for name, make in _BY_EXPERIMENT.items():
        if name in results.tables:
            found |= make(results.tables[name])
    found |= theory_tables(results) | {"parameters": parameter_table()}
    return {key: table for key, table in found.items() if table.rows}


def sites_of(results: Results) -> Sites:
    """Return the rows of the ladder of each site."""
    named = {size: f"ladder, {size}" for size in SIZES}
    return {size: results.tables[name] for size, name in named.items() if name in results.tables}


def text(results: Results) -> str:
    """Return all tables for a terminal."""
    shown = tables(results)
    return "\n\n".join(table.text() for key, table in shown.items() if key != "parameters")
