"""Tables of the attacks on the rules, of ablations, and of patient clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.table import Table

from gatepost.traps.intervals import clopper_pearson
from sim.metrics import Count, total
from sim.tables.cells import NONE, percent, rate
from sim.tables.coverage import parts_of

if TYPE_CHECKING:
    from sim.metrics import Metrics
    from sim.tables.coverage import Rows


def attack_tables(rows: Rows) -> dict[str, Table]:
    """Return the attempts of each attack."""
    table = Table("Attacks", ("attack", "rules", "attempts", "successes", "95 %", "marked"))
    for key in _attacks(rows):
        for row, series in rows.items():
            count = series.pooled.tests.get(key, Count())
            won = successes(key[0], count)
            low, high = clopper_pearson(won, count.messages)
            cells = f"{count.messages:,}", f"{won:,}", f"{percent(low)} to {percent(high)}"
            table.rows.append((_title(key), row, *cells, f"{count.marked:,}"))
    return {"attacks": table}


def registered_tables(rows: Rows) -> dict[str, Table]:
    """Return the attempts against learned traps."""
    return {"registered": attack_tables(rows)["attacks"]}


def successes(actor: str, count: Count) -> int:
    """Return how often an attacker succeeded: spam accepted (A3), or honest mail refused."""
    return count.messages - count.refused if actor.startswith("A3") else count.refused


def attempts(metrics: Metrics, actor: str) -> tuple[int, int]:
    """Return the successes and attempts of all attacks whose name begins with `actor`."""
    found = [(name, one) for (name, _), one in metrics.tests.items() if name.startswith(actor)]
    return sum(successes(*pair) for pair in found), sum(one.messages for _, one in found)


def _attacks(rows: Rows) -> list[tuple[str, str]]:
    return sorted({key for one in rows.values() for run in one.runs for key in run.tests})


def _title(key: tuple[str, str]) -> str:
    return key[0] + key[1].removeprefix("test")


def ablation_tables(rows: Rows) -> dict[str, Table]:
    """Return spam and legitimate mail without one rule or shield."""
    header = (
        *("configuration", "", "spam not delivered", "or marked"),
        *("legitimate refused", "marked"),
    )
    table = Table("Ablations", header)
    for row, series in rows.items():
        metrics = series.pooled
        spam, mail = metrics.all_spam(), metrics.all_legitimate()
        found = percent(spam.undelivered), percent(spam.stopped)
        table.rows.append((row, "", *found, f"{mail.refused:,}", f"{mail.marked:,}"))
    return {"ablations": table}


def ablated_attack_tables(rows: Rows) -> dict[str, Table]:
    """Return the successes of attacks without one shield."""
    keys = _attacks(rows)
    table = Table(
        "Successes of attacks",
        ("configuration", "", *map(_title, keys), "replies to all refused"),
    )
    for row, series in rows.items():
        metrics = series.pooled
        counts = ((key[0], metrics.tests.get(key, Count())) for key in keys)
        cells = (f"{successes(*pair):,} of {pair[1].messages:,}" for pair in counts)
        replies = total(one for key, one in metrics.legitimate.items() if key[1] == "reply to all")
        table.rows.append((row, "", *cells, f"{replies.refused:,} of {replies.messages:,}"))
    return {"ablations, attacks": table}


def patient_tables(rows: Rows) -> dict[str, Table]:
    """Return what the rules do without the limit of errors."""
    header = ("configuration", "actor", "part", "messages", "refused", "not delivered", "or marked")
    table = Table("Without the limit of errors", header)
    for row, series in rows.items():
        metrics = series.pooled
        for key in parts_of(rows):
            one = metrics.spam.get(key, Count())
            cells = map(percent, (one.coverage, one.undelivered, one.stopped))
            table.rows.append((row, key[0], key[1] or NONE, f"{one.messages:,}", *cells))
    return {"patient": table}


def minimum_tables(rows: Rows) -> dict[str, Table]:
    """Return the effect of the smallest number of unknown recipients."""
    header = (
        *("rule", "", "spam", "refused", "not delivered", "or marked"),
        *("legitimate bulk mail", "refused, of 100,000 (95 %)"),
    )
    table = Table("Many unknown recipients", header)
    for row, series in rows.items():
        spam, mail = series.pooled.all_spam(), series.pooled.all_legitimate()
        shares = map(percent, (spam.coverage, spam.undelivered, spam.stopped))
        cells = f"{mail.messages:,}", rate(mail)
        table.rows.append((row, "", f"{spam.messages:,}", *shares, *cells))
    return {"minimum": table}
