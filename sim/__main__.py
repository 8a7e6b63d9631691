"""The command line of the simulator."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sim.experiments import TABLES, Choice, run
from sim.page import write
from sim.tables.all_tables import text
from sim.world import SIZES

if TYPE_CHECKING:
    from collections.abc import Sequence


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    options = argparse.ArgumentParser(
        prog="python -m sim", description="Simulate senders and attackers against the trap rules."
    )
    add = options.add_argument
    add("--size", choices=[*SIZES, "both"], default="both", help="the site (default: both)")
    add("--seeds", type=int, default=10, help="runs of the main tables (default: 10)")
    add("--days", type=float, default=35.0, help="length of the ladder and the attacks (35)")
    add("--share", type=float, default=0.02, help="share of a company's mail (0.02)")
    add("--only", default="", metavar="NAME,…", help=f"any of {', '.join(TABLES)}")
    add("--jobs", type=int, default=2, help="processes (default: 2)")
    add("--keep", type=Path, metavar="FOLDER", help="keep finished runs, and use those kept there")
    add("--quick", action="store_true", help="one seed of a few days: only a trial run")
    add("--out", type=Path, metavar="FOLDER", help="update simulation.md and its charts there")
    return options


def choice_of(chosen: argparse.Namespace) -> Choice:
    """Return what to run; raises ValueError for an unknown table."""
    sizes = tuple(SIZES) if chosen.size == "both" else (chosen.size,)
    only = tuple(name for name in chosen.only.split(",") if name)
    if unknown := set(only) - set(TABLES):
        raise ValueError(f"--only: no such table: {', '.join(sorted(unknown))}")
    return Choice(
        sizes,
        1 if chosen.quick else max(1, chosen.seeds),
        max(1.0, chosen.days),
        min(1.0, max(0.001, chosen.share)),
        only,
        chosen.quick,
        max(1, chosen.jobs),
        chosen.keep,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulations; print the tables, and update the page with --out."""
    chosen = parser().parse_args(arguments)
    try:
        choice = choice_of(chosen)
    except ValueError as error:
        print(f"sim: {error}", file=sys.stderr)
        return 2
    results = run(choice)
    print(text(results))
    if chosen.out:
        write(results, chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
