"""Write the tables and charts of the results into the page docs/simulation.md.

The text of the page is written by hand. A table or chart goes between two comments with its key:
`<!-- simulation: KEY -->` and `<!-- end -->`. A key that the results lack keeps what it has.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from sim.policy.settings import DEFAULT
from sim.svg import Bar, bars
from sim.tables.all_tables import sites_of, tables
from sim.tables.assumptions import BASELINE, ends, varied
from sim.tables.cells import NAMES, percent
from sim.tables.coverage import parts_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sim.experiments import Results
    from sim.tables.coverage import Rows

PAGE = "simulation.md"
CHARTS = "simulation"
_PLACE = re.compile(r"(<!-- simulation: ([^>]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_MOST_BARS = 16


def write(results: Results, folder: Path) -> None:
    """Update the page in a folder, and write the charts into a folder below it."""
    charts = make_charts(results)
    (folder / CHARTS).mkdir(parents=True, exist_ok=True)
    for name, chart in charts.items():
        (folder / CHARTS / f"{name}.svg").write_text(chart)
    page = folder / PAGE
    found = {key: _without_title(table.markdown()) for key, table in tables(results).items()}
    page.write_text(filled(page.read_text(), found))


def filled(page: str, found: Mapping[str, str]) -> str:
    """Return the page with the tables in their places."""

    def place(match: re.Match[str]) -> str:
        return match[1] + found[match[2]] + "\n" + match[3] if match[2] in found else match[0]

    return _PLACE.sub(place, page)


def _without_title(markdown: str) -> str:
    return markdown.partition("\n\n")[2]


def make_charts(results: Results) -> dict[str, str]:
    """Return the charts that the results are enough for, by their file name."""
    found = {
        f"coverage-{size}": _coverage(size, rows)
        for size, rows in sites_of(results).items()
        if DEFAULT in rows
    }
    tornado = results.tables.get("tornado", {})
    if BASELINE in tornado:
        found["tornado"] = _tornado(tornado)
    return found


def _coverage(size: str, rows: Rows) -> str:
    """Return spam that is refused, cut off, and marked by the default rules."""
    shown, metrics = [], rows[DEFAULT].pooled
    for actor in sorted({name for name, _ in parts_of(rows)}):
        count = metrics.spam_of(actor)
        ends = (0.0, count.coverage, count.undelivered, count.stopped)
        label = f"{actor} ({count.messages:,})"
        shown.append(Bar(label, tuple(pairwise(ends)), percent(count.stopped)))
    return bars(f"Spam to users: refused, cut off, marked. {NAMES[size]}", shown, 0.0, 1.0)


def _tornado(rows: Rows) -> str:
    """Return the coverage with each assumption halved and doubled, around the assumed one."""
    middle = rows[BASELINE].pooled.all_spam().stopped
    shown, all_ends = [], [middle]
    for name in varied(rows)[:_MOST_BARS]:
        low, high = (one.all_spam().stopped for one in ends(rows, name))
        all_ends += [low, high]
        label = f"{percent(low)} to {percent(high)}"
        shown.append(Bar(name, ((low, middle), (middle, high)), label))
    low, high = min(all_ends) * 0.9, max(all_ends) * 1.05
    return bars("Spam stopped or marked: x 0.5 and x 2", shown, low, high)
