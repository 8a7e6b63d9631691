"""The command line: `python -m bench.policy [--only NAME,…]`."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from bench.__main__ import names_of
from bench.policy import dkim
from bench.policy.measure import LOADS, SERVERS, Plan, measure, recorded, smaller
from bench.policy.tables import cost_table, missed, proof_table
from bench.process import BenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.table import Table


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    options = argparse.ArgumentParser(
        prog="python -m bench.policy", description="Measure servers with a full policy in one run."
    )
    add = options.add_argument
    known = names_of(list(SERVERS))
    add(
        "--only",
        type=known,
        default=list(SERVERS),
        metavar="NAME,…",
        help=f"any of {', '.join(SERVERS)}",
    )
    add("--loads", type=names_of(list(LOADS)), default=list(LOADS), metavar="NAME,…")
    add("--rounds", type=int, default=5, help="rounds per load (default: 5)")
    add("--quick", action="store_true", help="two rounds of a fifth: only a trial run")
    add("--markdown", action="store_true", help="print the tables as Markdown")
    add("--dkim", action="store_true", help="only the verification of DKIM, in this process")
    return options


def tables(chosen: argparse.Namespace, problems: list[str]) -> list[Table]:
    """Measure, and return the tables."""
    if chosen.dkim:
        return [dkim.table()]
    loads = {name: LOADS[name] for name in chosen.loads}
    plan = Plan(
        chosen.only,
        smaller(loads) if chosen.quick else loads,
        2 if chosen.quick else max(1, chosen.rounds),
        partial(recorded, problems),
    )
    costs, found = measure(plan)
    problems += missed(found)
    return [cost_table(costs), proof_table(found), dkim.table()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; exit 1 if a measurement failed or a check has found nothing."""
    chosen = parser().parse_args(arguments)
    problems: list[str] = []
    try:
        made = tables(chosen, problems)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    form = "markdown" if chosen.markdown else "text"
    parts = [getattr(table, form)() for table in made if table.rows]
    print("\n\n".join([*parts, *(f"Not measured: {problem}" for problem in problems)]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
