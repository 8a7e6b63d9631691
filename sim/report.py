"""The tables of the results. Each has a key, which is its place in the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.table import Table

from gatepost.traps.intervals import clopper_pearson
from sim.experiments import FACTORS, VARIED
from sim.metrics import Count, total
from sim.parameters import PARAMETERS
from sim.policy.settings import DEFAULT, LADDER, REFUSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.experiments import Results
    from sim.metrics import Metrics

_NONE = "-"
BASELINE = "as assumed"
STANDINGS = ("trusted", "acquainted", "regular", "stranger", "unproven")


def percent(share: float) -> str:
    """Return a share as percent."""
    return f"{100 * share:.1f} %"


def tables(results: Results) -> dict[str, Table]:
    """Return all tables that have rows."""
    found = {
        "parameters": _parameters(),
        "oracle": _oracle(results),
        "groups": _groups(results),
        "control": _controls(results),
    }
    for name, rows in results.tables.items():
        found |= _TABLES.get(name.partition(",")[0], _no_tables)(name, rows)
    return {key: table for key, table in found.items() if table.rows}


def text(results: Results) -> str:
    """Return all tables for a terminal."""
    shown = tables(results)
    return "\n\n".join(table.text() for key, table in shown.items() if key != "parameters")


def _no_tables(_name: str, _rows: Mapping[str, Metrics]) -> dict[str, Table]:
    return {}


def _ladder(name: str, rows: Mapping[str, Metrics]) -> dict[str, Table]:
    size = name.rpartition(" ")[2]
    rows = {row: rows[row] for row in LADDER if row in rows}
    return {
        f"coverage {size}": _coverage(f"Coverage by actor, {size}", rows),
        f"marginal {size}": _marginal(f"Marginal coverage, {size}", rows),
        f"legitimate {size}": _legitimate(f"Legitimate messages, {size}", rows),
        f"standing {size}": _standing(f"Legitimate messages by standing, {size}", rows),
        f"detection {size}": _detection(f"Time to detect, {size}", rows),
        f"cost {size}": _cost(f"Cost, {size}", rows),
    }


def parts_of(rows: Mapping[str, Metrics]) -> list[tuple[str, str]]:
    """Return the actors and labels of spam, in order."""
    return sorted({key for metrics in rows.values() for key in metrics.spam})


def _coverage(title: str, rows: Mapping[str, Metrics]) -> Table:
    """Return refused and, in brackets, refused or marked."""
    table = Table(title, ("actor", "part", "messages", *rows))
    for key in parts_of(rows):
        counts = [one.spam.get(key, Count()) for one in rows.values()]
        cells = (f"{percent(one.coverage)} ({percent(one.touched)})" for one in counts)
        most = max(one.messages for one in counts)
        table.rows.append((key[0], key[1] or _NONE, f"{most:,}", *cells))
    return table


def _marginal(title: str, rows: Mapping[str, Metrics]) -> Table:
    table = Table(title, ("rules", "", "spam", "passes the baseline", "refused", "or marked"))
    for row, metrics in rows.items():
        count = metrics.all_spam()
        cells = f"{count.messages:,}", f"{count.passed:,}"
        shares = percent(count.marginal), percent(count.marginal_touched)
        table.rows.append((row, "", *cells, *shares))
    return table


def _legitimate(title: str, rows: Mapping[str, Metrics]) -> Table:
    header = ("rules", "", "messages", "refused", "per 100,000 (95 %)", "marked", "recipients lost")
    table = Table(title, header)
    for row, metrics in rows.items():
        table.rows.append((row, "", *_refusals(metrics.all_legitimate()), _lost(metrics)))
    return table


def _refusals(count: Count) -> tuple[str, str, str, str]:
    low, high = count.per_100_000()
    rate = f"{1e5 * count.refused / max(1, count.messages):.2f} ({low:.2f} to {high:.2f})"
    return f"{count.messages:,}", f"{count.refused:,}", rate, f"{count.marked:,}"


def _lost(metrics: Metrics) -> str:
    return f"{metrics.recipients.refused:,} of {metrics.recipients.messages:,}"


def _standing(title: str, rows: Mapping[str, Metrics]) -> Table:
    header = ("rules", "sender", "messages", "refused", "per 100,000 (95 %)", "marked")
    table = Table(title, header)
    for row, metrics in rows.items():
        for standing in STANDINGS:
            count = metrics.standings.get(standing, Count())
            table.rows.append((row, standing, *_refusals(count)))
    return table


def _detection(title: str, rows: Mapping[str, Metrics]) -> Table:
    header = (
        "actor",
        "rules",
        "campaigns",
        "detected",
        "before (median)",
        "before (90 %)",
        "after",
    )
    table = Table(title, header)
    for actor in sorted({name for name, _ in parts_of(rows)}):
        for row in ():
            if row not in rows or not (found := rows[row].detection(actor)).campaigns:
                continue
            cells = (found.campaigns, found.detected, f"{found.before:g}", found.before_90)
            after = f"{found.seconds / 60:.0f} min" if found.detected else _NONE
            table.rows.append((actor, row, *map(str, cells), after))
    return table


def _cost(title: str, rows: Mapping[str, Metrics]) -> Table:
    table = Table(title, ("rules", "", "sessions", "ms of CPU for each"))
    for row, metrics in rows.items():
        each = 1e3 * metrics.seconds / max(1, metrics.sessions)
        table.rows.append((row, "", f"{metrics.sessions:,}", f"{each:.2f}"))
    return table


def _attacks(name: str, rows: Mapping[str, Metrics]) -> dict[str, Table]:
    table = Table("Attacks", ("attack", "rules", "attempts", "successes", "95 %", "marked"))
    for key in sorted({key for metrics in rows.values() for key in metrics.tests}):
        for row, metrics in rows.items():
            count = metrics.tests.get(key, Count())
            won = successes(key[0], count)
            low, high = clopper_pearson(won, count.messages)
            attack = key[0] + key[1].removeprefix("test")
            interval = f"{percent(low)} to {percent(high)}"
            cells = (f"{count.messages:,}", f"{won:,}", interval, f"{count.marked:,}")
            table.rows.append((attack, row, *cells))
    return {name: table}


def successes(actor: str, count: Count) -> int:
    """Return how often an attacker succeeded: spam accepted (A3), or honest mail refused."""
    return count.messages - count.refused if actor.startswith("A3") else count.refused


def _ablations(name: str, rows: Mapping[str, Metrics]) -> dict[str, Table]:
    if "attacks" in name:
        return {name: _ablated_attacks(rows)}
    header = ("configuration", "", "spam refused", "or marked", "legitimate refused", "marked")
    table = Table("Ablations", header)
    for row, metrics in rows.items():
        spam, mail = metrics.all_spam(), metrics.all_legitimate()
        shares = percent(spam.coverage), percent(spam.touched)
        table.rows.append((row, "", *shares, f"{mail.refused:,}", f"{mail.marked:,}"))
    return {name: table}


def _ablated_attacks(rows: Mapping[str, Metrics]) -> Table:
    keys = sorted({key for metrics in rows.values() for key in metrics.tests})
    header = [actor + label.removeprefix("test") for actor, label in keys]
    table = Table("Successes of attacks", ("configuration", "", *header, "replies to all refused"))
    for row, metrics in rows.items():
        counts = [metrics.tests.get(key, Count()) for key in keys]
        cells = (
            f"{successes(key[0], one)} of {one.messages}"
            for key, one in zip(keys, counts, strict=True)
        )
        replies = total(one for key, one in metrics.legitimate.items() if key[1] == "reply to all")
        table.rows.append((row, "", *cells, f"{replies.refused} of {replies.messages}"))
    return table


def _patient(name: str, rows: Mapping[str, Metrics]) -> dict[str, Table]:
    table = Table(
        "Without the limit of errors",
        ("configuration", "actor", "part", "messages", "not delivered", "refused", "or marked"),
    )
    for row, metrics in rows.items():
        for actor, part in parts_of(rows):
            count = metrics.spam.get((actor, part), Count())
            shares = percent(count.coverage), percent(count.touched)
            cells = f"{count.messages:,}", f"{count.undelivered:,}"
            table.rows.append((row, actor, part or _NONE, *cells, *shares))
    return {name: table}


def _tornado(name: str, rows: Mapping[str, Metrics]) -> dict[str, Table]:
    spam, mail = "spam refused or marked", "legitimate refused or marked"
    table = Table("Assumptions", ("parameter", "value", spam, "x 0.5", "x 2", mail, "x 0.5", "x 2"))
    if BASELINE not in rows:
        return {}
    base = rows[BASELINE]
    for parameter in varied(rows):
        runs = [base, *(rows[f"{parameter} x {factor:g}"] for factor in FACTORS)]
        value = f"{PARAMETERS[parameter].value:g}"
        mails = (str(touched_legitimate(one)) for one in runs)
        table.rows.append((parameter, value, *map(_share, runs), *mails))
    return {name: table}


def varied(rows: Mapping[str, Metrics]) -> list[str]:
    """Return the parameters, the one with the largest effect on coverage first."""
    names = [name for name in VARIED if all(f"{name} x {one:g}" in rows for one in FACTORS)]
    return sorted(names, key=lambda name: -effect(rows, name))


def effect(rows: Mapping[str, Metrics], parameter: str) -> float:
    """Return the difference of coverage between both ends of a parameter."""
    low, high = (rows[f"{parameter} x {factor:g}"].all_spam().touched for factor in FACTORS)
    return abs(high - low)


def touched_legitimate(metrics: Metrics) -> int:
    """Return the legitimate messages that were refused or marked."""
    count = metrics.all_legitimate()
    return count.refused + count.marked


def _share(metrics: Metrics) -> str:
    return percent(metrics.all_spam().touched)


def _parameters() -> Table:
    table = Table("Parameters", ("parameter", "value", "meaning", "source"))
    for name, one in PARAMETERS.items():
        table.rows.append((name, f"{one.value:g}", one.meaning, one.source))
    return table


def _oracle(results: Results) -> Table:
    header = ("verdict", "refused anyway", "held", "queries (median)", "errors", "area (AUC)")
    table = Table("Queries to unmask a trap", header)
    for one in results.oracle:
        cells = (f"{one.queries:g}", percent(one.errors), f"{one.auc:.2f}")
        table.rows.append((one.verdict, percent(one.rho), percent(one.held), *cells))
    return table


def _groups(results: Results) -> Table:
    table = Table(
        "Halving a set with one trap",
        ("addresses", "", "queries", "identities burnt", "log2 of the addresses"),
    )
    for one in results.groups:
        cells = (f"{one.queries:.1f}", f"{one.burnt:.1f}", f"{one.expected:.1f}")
        table.rows.append((str(one.addresses), "", *cells))
    return table


def _controls(results: Results) -> Table:
    table = Table("Control", ("traps on the list", "", "messages to users", "covered", "theory"))
    for one in results.controls:
        cells = (f"{one.messages:,}", percent(one.touched), percent(one.expected))
        table.rows.append((str(one.traps), "", *cells))
    return table


_TABLES = {
    "ladder": _ladder,
    "attacks": _attacks,
    "ablations": _ablations,
    "patient": _patient,
    "tornado": _tornado,
}
