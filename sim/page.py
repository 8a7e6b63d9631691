"""Write the tables and charts of the results into the page docs/simulation.md.

The text of the page is written by hand. A table or chart goes between two comments with its key:
`<!-- simulation: KEY -->` and `<!-- end -->`. A key that the results lack keeps what it has.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sim.experiments import FACTORS, MAIN
from sim.policy.settings import DEFAULT, REFUSES
from sim.report import BASELINE, parts_of, percent, tables, varied
from sim.svg import Bar, bars

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sim.experiments import Results
    from sim.metrics import Metrics

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
    found = {}
    for size in ("small", "company"):
        rows = results.tables.get(f"ladder, {size}", {})
        if all(name in rows for name in MAIN):
            found[f"coverage-{size}"] = _coverage(size, rows)
    tornado = results.tables.get("tornado", {})
    if BASELINE in tornado:
        found["tornado"] = _tornado(tornado)
    return found


def _coverage(size: str, rows: Mapping[str, Metrics]) -> str:
    """Return spam that is refused, and refused or marked, by the memory that refuses."""
    shown = []
    for actor in sorted({name for name, _ in parts_of(rows)}):
        marks, refuses = rows[DEFAULT].spam_of(actor), rows[REFUSES].spam_of(actor)
        parts = ((0.0, refuses.coverage), (refuses.coverage, refuses.touched))
        label = f"{percent(refuses.coverage)} + {percent(refuses.touched - refuses.coverage)}"
        shown.append(Bar(f"{actor} ({marks.messages:,})", parts, label))
    return bars(f"Spam to users: refused + marked, {size}", shown, 0.0, 1.0)


def _tornado(rows: Mapping[str, Metrics]) -> str:
    """Return the coverage with each assumption halved and doubled, around the assumed one."""
    middle = rows[BASELINE].all_spam().touched
    shown, ends = [], [middle]
    for name in varied(rows)[:_MOST_BARS]:
        low, high = (rows[f"{name} x {factor:g}"].all_spam().touched for factor in FACTORS)
        ends += [low, high]
        label = f"{percent(low)} to {percent(high)}"
        shown.append(Bar(name, ((low, middle), (middle, high)), label))
    return bars("Spam refused or marked: x 0.5 and x 2", shown, min(ends) * 0.9, max(ends) * 1.05)
