"""Write measured tables into docs/performance.md.

On the page each table is between the marks `<!-- bench: TITLE -->` and `<!-- end -->`, with its
heading and a line about the machine and the run. Tables that were not measured stay as they are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.table import Table

PAGE = Path(__file__).resolve().parent.parent / "docs/performance.md"
BLOCK = re.compile(r"(?<=<!-- bench: )(?P<title>[^\n]+?)( -->\n).*?(?=<!-- end -->)", re.DOTALL)


def titles(page: str) -> list[str]:
    """Return the titles of the tables that a page has places for."""
    return [match["title"] for match in BLOCK.finditer(page)]


def rewrite(page: str, tables: Iterable[Table], run: str) -> str:
    """Return the page with these tables; `run` is the line about machine and run."""
    measured = {table.title: table for table in tables if table.rows}

    def block(match: re.Match[str]) -> str:
        table = measured.get(match["title"])
        if table is None:
            return match[0]
        heading, _, body = table.markdown().partition("\n\n")
        return f"{table.title} -->\n{heading}\n\n{run}\n\n{body}\n\n"

    return BLOCK.sub(block, page)
