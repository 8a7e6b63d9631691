"""One run of the bench: its options, its results, and the servers it starts."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.load import Cost, Load
from bench.process import BenchError, Running
from bench.servers import QUIET, SERVERS, TRAP, Setup
from bench.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LOADS = {
    "new": Load(10_000),
    "reused": Load(40_000, sessions=40, reuse=True),
    "refused": Load(20_000, refused=True, recipient=TRAP),
    "large": Load(200, length=1_000_000, sessions=4),
}

Costs = dict[str, list[Cost]]  # by server, one for each round


@dataclass
class Bench:
    """The options and the results of a run."""

    rounds: int
    names: Sequence[str]
    quick: bool
    tables: list[Table] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    costs: dict[str, Costs] = field(default_factory=dict)
    tls_costs: dict[str, Costs] = field(default_factory=dict)

    def among(self, servers: Mapping[str, object]) -> list[str]:
        """Return the selected ones of these servers."""
        return [name for name in self.names if name in servers]

    @contextlib.contextmanager
    def attempt(self, name: str) -> Iterator[None]:
        """Record a failed measurement and continue with the next."""
        try:
            yield
        except (BenchError, OSError, subprocess.SubprocessError) as error:
            self.problems.append(f"{name}: {error}")
            progress(f"{name}: {error}")

    def scaled(self, amount: int) -> int:
        """Return an amount, or a tenth of it in a quick run."""
        return amount // 10 if self.quick else amount

    def load(self, scenario: str) -> Load:
        """Return the load of a scenario at this run's scale."""
        full = LOADS[scenario]
        return dataclasses.replace(full, messages=self.scaled(full.messages))


def progress(text: str) -> None:
    """Print the progress on standard error."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def started(
    name: str, *, refuses: bool = False, traps: int = 100_000, connections: int = 1000
) -> Iterator[Running]:
    """Run a server in a temporary folder that other users may enter, such as smtp-sink's."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o755)
        with (SERVERS | QUIET)[name](Setup(Path(folder), refuses, traps, connections)) as running:
            yield running
