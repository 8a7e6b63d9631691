"""Time the pages of the dashboard: `make bench-dashboard`, or `python -m bench.dashboard`.

Makes a ledger of `--records` in a temporary folder, or reads that of `--folder`, which
`python -m bench.dashboard.made FOLDER/var/ledger --records N` has made. Starts a dashboard, asks
for each page and each operation of the API as users do, and prints the times.

The users have all mail, a domain with a sixth of it, and one with a message in 20,000. Their counts
are made in the background: run it twice for the times with and without them. With `--cold` the page
cache of the system is dropped before some requests, which root can do.

Limits: times are those of this machine with all that runs on it; CPU is that of the dashboard.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, NamedTuple

from bench import proc
from bench.dashboard.made import make
from bench.dashboard.mail import BUSY, RARE
from bench.dashboard.served import Client, Dashboard
from bench.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REQUESTS, COLD = 20, 3
DROP = Path("/proc/sys/vm/drop_caches")
HEADER = ("page", "user", "p50 ms", "p95 ms", "CPU ms", "cold, slowest ms")
ALL = ("admin", "busy", "rare")
ADMIN = ("admin",)


class Page(NamedTuple):
    """A page, and the users who ask for it."""

    path: str
    users: Sequence[str] = ADMIN


PAGES = (
    Page("/find", ALL),
    Page("/find?q=u1@s0.example", ADMIN),
    Page("/find?q=none@none.example", ADMIN),
    Page(f"/find?q={BUSY}", ALL),
    Page("/find?q=100.0.0.0/24", ALL),
    Page("/find?period=all&reason=none", ALL),
    Page("/find?period=30d&plugin=content", ADMIN),
    Page("/message/n0000100.1", ADMIN),
    Page("/outcomes", ALL),
    Page("/outcomes?period=30d", ALL),
    Page("/outcomes?period=all", ADMIN),
    Page("/reasons", ALL),
    Page("/reasons?period=30d", ALL),
    Page("/traps", ALL),
    Page("/traps?period=30d", ALL),
    Page("/review", ADMIN),
    Page("/review?period=30d", ADMIN),
    Page("/wrong", ALL),
    Page("/wrong?period=30d", ALL),
    Page("/authentication", ALL),
    Page("/authentication?period=30d", ALL),
    Page("/authentication?period=30d&domain=s7.example", ADMIN),
    Page(f"/dossier?period=all&q={BUSY}", ALL),
    Page("/dossier?period=all&q=100.0.0.0/24", ADMIN),
    Page("/health", ADMIN),
    Page("/queue", ADMIN),
    Page("/quarantine", ADMIN),
    Page("/api/v1/messages", ADMIN),
    Page("/api/v1/records?limit=1000", ADMIN),
    Page("/api/v1/records?period=all&reason=none", ADMIN),
    Page("/api/v1/outcomes?period=30d", ADMIN),
    Page("/api/v1/reasons?period=30d", ADMIN),
    Page("/api/v1/traps?period=30d", ADMIN),
)
DOMAINS = {"admin": [], "busy": [BUSY], "rare": [RARE]}


def measure(page: Page, name: str, client: Client, pid: int, cold: int) -> tuple[str, ...]:
    """Return the row of a page for a user."""
    client.prepare(page.path)
    before = proc.run_time(pid)
    times = [client.seconds(page.path) * 1000 for _ in range(REQUESTS)]
    used = (proc.run_time(pid) - before) / REQUESTS * 1000
    slowest = max((_cold(client, page.path) * 1000 for _ in range(cold)), default=0.0)
    late = quantiles(times, n=20)[-1]
    cells = (median(times), late, used, slowest)
    return page.path, name, *(f"{one:.0f}" if one else "" for one in cells)


def _cold(client: Client, path: str) -> float:
    DROP.write_text("3")
    return client.seconds(path)


def run(folder: Path, options: argparse.Namespace) -> Table:
    """Measure all pages."""
    table = Table("The dashboard", HEADER)
    with Dashboard(folder) as dashboard:
        clients = {name: dashboard.client(name, DOMAINS[name]) for name in options.users}
        for page in PAGES:
            if options.only not in page.path:
                continue
            for name in set(page.users) & clients.keys():
                row = measure(page, name, clients[name], dashboard.pid, options.cold)
                table.rows.append(row)
                print(*row, flush=True)
    return table


@contextlib.contextmanager
def folder_of(options: argparse.Namespace) -> Iterator[Path]:
    """Provide a folder with a ledger."""
    if options.folder is not None:
        yield options.folder
        return
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder) / "var" / "ledger"
        ledger.mkdir(parents=True)
        make(ledger, options.records, time.time())
        yield Path(folder)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--folder", type=Path, help="the folder of a server, with var/ledger")
    parser.add_argument("--cold", action="store_const", const=COLD, default=0)
    parser.add_argument("--users", nargs="+", choices=[*DOMAINS], default=[*DOMAINS])
    parser.add_argument("--only", default="", help="pages whose path has this text")
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    options = parser.parse_args()
    with folder_of(options) as folder:
        table = run(folder, options)
    print(table.markdown() if options.markdown else table.text())


if __name__ == "__main__":
    main()
