"""The command line of the bench."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench import page, scenarios, servers
from bench.policy.measure import SERVERS as POLICY_SERVERS
from bench.process import BenchError
from bench.profile import profile
from bench.run import LOADS, Bench
from bench.scenarios import SCENARIOS
from bench.servers import QUIET, SERVERS
from bench.tls_servers import TLS_SERVERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


ALL_SERVERS = list(dict.fromkeys([*SERVERS, *QUIET, *TLS_SERVERS, *POLICY_SERVERS]))


def names_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Return a parser of comma-separated names out of the known ones."""

    def parse(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",") if name.strip()]
        if unknown := [name for name in names if name not in known]:
            found, expected = ", ".join(unknown), ", ".join(known)
            raise argparse.ArgumentTypeError(f"found {found}; expected any of {expected}")
        return names

    return parse


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    options = argparse.ArgumentParser(
        prog="python -m bench", description="Measure Gatepost and other receivers in one run."
    )
    add = options.add_argument
    add("--rounds", type=int, default=5, help="rounds per load (default: 5)")
    add(
        "--only",
        type=names_of(list(SCENARIOS)),
        default=list(SCENARIOS),
        metavar="NAME,…",
        help=f"any of {', '.join(SCENARIOS)}",
    )
    add(
        "--servers",
        type=names_of(ALL_SERVERS),
        default=ALL_SERVERS,
        metavar="NAME,…",
        help=f"any of {', '.join(ALL_SERVERS)}",
    )
    add("--quick", action="store_true", help="two rounds of a tenth: only a trial run")
    add("--markdown", action="store_true", help="print the tables as Markdown")
    add(
        "--page",
        type=Path,
        nargs="?",
        const=page.PAGE,
        metavar="FILE",
        help="write the tables into docs/performance.md, or into FILE with the same marks",
    )
    add("--json", type=Path, metavar="FILE", help="write tables and every round's figures")
    add("--profile", choices=list(LOADS), help="profile gatepost under this load instead")
    return options


def machine(names: Sequence[str]) -> str:
    """Return a line that describes the machine and the versions."""
    found = ", ".join(f"{name} {version}" for name, version in servers.versions(names).items())
    return f"{os.cpu_count()} cores, Linux {platform.release()}; {found}"


def about(bench: Bench, load: float) -> str:
    """Return a line about the machine and the run; `load` is the load average at its start."""
    trial = ", a trial run" if bench.quick else ""
    run = f"{datetime.now(UTC):%Y-%m-%d}, rounds: {bench.rounds}, load at the start: {load:.1f}"
    return f"{machine(bench.names)}; {run}{trial}."


def as_json(bench: Bench) -> str:
    """Return all measurements as JSON."""
    everything = {
        "machine": machine(bench.names),
        "tables": [dataclasses.asdict(table) for table in bench.tables],
        "problems": bench.problems,
        "rounds": {
            scenario: {
                name: [dataclasses.asdict(cost) for cost in each] for name, each in by.items()
            }
            for scenario, by in (bench.costs | bench.tls_costs).items()
        },
    }
    return json.dumps(everything, indent=1, ensure_ascii=False) + "\n"


def report(bench: Bench, chosen: argparse.Namespace, load: float) -> None:
    """Print the tables and the failed measurements, and write them where it was asked for."""
    form = "markdown" if chosen.markdown else "text"
    parts = [
        about(bench, load),
        *(getattr(table, form)() for table in bench.tables if table.rows),
    ]
    parts += [f"Not measured: {problem}" for problem in bench.problems]
    print("\n\n".join(parts))
    if chosen.page:
        text = chosen.page.read_text("utf-8")
        chosen.page.write_text(page.rewrite(text, bench.tables, about(bench, load)), "utf-8")
    if chosen.json:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(as_json(bench))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; exit 1 if a measurement failed."""
    chosen = parser().parse_args(arguments)
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # so that SIGTERM also stops the servers
    bench = Bench(2 if chosen.quick else max(1, chosen.rounds), chosen.servers, chosen.quick)
    load = os.getloadavg()[0]
    try:
        if chosen.profile:
            print(profile(bench, chosen.profile))
            return 0
        scenarios.run(bench, chosen.only)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    report(bench, chosen, load)
    return 1 if bench.problems else 0


if __name__ == "__main__":
    sys.exit(main())
