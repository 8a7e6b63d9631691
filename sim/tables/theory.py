"""Tables of what theory predicts: the oracle, the group test, and the control."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.table import Table

from sim.tables.cells import percent

if TYPE_CHECKING:
    from sim.experiments import Results


def theory_tables(results: Results) -> dict[str, Table]:
    """Return the three tables; those without results have no rows."""
    return {
        "oracle": _oracle(results),
        "groups": _groups(results),
        "control": _controls(results),
    }


def _oracle(results: Results) -> Table:
    header = (
        *("verdict", "refused anyway", "held", "queries (mean)", "theory"),
        "ln(100)/KL",
        *("errors", "area (AUC)"),
    )
    table = Table("Queries to unmask a trap", header)
    for one in results.oracle:
        cells = (
            f"{one.queries:.1f}",
            f"{one.expected:.1f}",
            f"{one.formula:.1f}",
            percent(one.errors),
            f"{one.auc:.2f}",
        )
        table.rows.append((one.verdict, percent(one.rho), percent(one.held), *cells))
    return table


def _groups(results: Results) -> Table:
    table = Table(
        "Halving a set with one trap",
        ("addresses", "", "queries", "identities burnt", "log2 of the addresses"),
    )
    for one in results.groups:
        cells = f"{one.queries:.1f}", f"{one.burnt:.1f}", f"{one.expected:.1f}"
        table.rows.append((str(one.addresses), "", *cells))
    return table


def _controls(results: Results) -> Table:
    header = ("networks", "traps on the list", "messages to users", "marked", "theory")
    table = Table("Control", header)
    for one in results.controls:
        cells = f"{one.messages:,}", percent(one.touched), percent(one.expected)
        table.rows.append((str(one.networks), str(one.traps), *cells))
    return table
