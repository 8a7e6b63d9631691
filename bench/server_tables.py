"""Time look-ups in tables on real servers: ``python -m bench.server_tables [ROWS]`` prints JSON.

PostgreSQL and slapd have ROWS users each, 1,000,000 by default. Times are in microseconds for a
recipient, which is three keys: its address, the address without its tag, and its domain. ``cold``
is the median of recipients that are not cached, ``cold p99`` the slowest of a hundred, ``cached``
the mean of one that is. ``cpu`` is the processor time of this process for a cold one.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tools import postgresql, redis, slapd

from gatepost.config.load import config_from_dict
from gatepost.plugin.clock import SystemClock
from gatepost.tables.cached import CachedTable
from gatepost.tables.registry import make_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gatepost.config.schema import Config

ROWS = 1_000_000
COLD = 3_000
CACHED = 200_000
SQL = """\
create table users (address text primary key, target text);
insert into users select 'user' || n || '@example.com', 'user' || n
    from generate_series(0, {rows} - 1) n;
vacuum analyze users"""


def sql(stack: ExitStack, folder: Path, rows: int) -> Config:
    """Run PostgreSQL; return a configuration with its table."""
    server = stack.enter_context(postgresql.running())
    for statement in SQL.format(rows=rows).split(";"):
        server.execute(statement)
    (folder / "password").write_text(postgresql.PASSWORD)
    query = "SELECT address, target FROM users WHERE address IN :keys"
    section = {"url": server.url, "query": query, "password_file": "password"}
    return config_from_dict({"sql": {"users": section}}, folder)


def ldap(stack: ExitStack, folder: Path, rows: int) -> Config:
    """Run slapd; return a configuration with its table."""
    users = [f"user{number}@example.com" for number in range(rows)]
    (folder / "slapd").mkdir()
    server = stack.enter_context(slapd.running(folder / "slapd", users))
    section = {"urls": [server.url], "base": slapd.BASE, "tls": "none"}
    return config_from_dict({"ldap": {"users": section}}, folder)


def in_redis(stack: ExitStack, folder: Path, rows: int) -> Config:
    """Run Redis; return a configuration with its table."""
    server = stack.enter_context(redis.running())
    fill = "for n = 0, ARGV[1] - 1 do redis.call('SET', 'user' .. n .. '@example.com', n) end"
    server.command("EVAL", fill, "0", str(rows))
    return config_from_dict({"redis": {"users": {"url": server.url}}}, folder)


KINDS: Mapping[str, Callable[[ExitStack, Path, int], Config]] = {
    "sql": sql,
    "ldap": ldap,
    "redis": in_redis,
}


def recipients(rows: int) -> Iterator[list[str]]:
    """Yield the keys of recipients, spread over all users; every second one does not exist."""
    for number in range(COLD):
        user = f"user{number * 7919 % rows}" + ("x" if number % 2 else "")
        yield [f"{user}+tag@example.com", f"{user}@example.com", "@example.com"]


async def measure(table: CachedTable, rows: int) -> dict[str, str]:
    """Return the times of a table."""
    keys = list(recipients(rows))
    await table.ask(["first@example.com"])  # connects
    times, cpu = [], time.process_time()
    for some in keys:
        start = time.perf_counter()
        found = await table.ask(some)
        times.append((time.perf_counter() - start) * 1e6)
        if len(found) != (0 if some[1].endswith("x@example.com") else 1):
            raise RuntimeError(f"unexpected answer for {some}: {found}")
    cpu = (time.process_time() - cpu) / len(keys) * 1e6
    last = keys[-2]
    start = time.perf_counter()
    for _ in range(CACHED):
        table.find(last)
    cached = (time.perf_counter() - start) / CACHED * 1e6
    slow = statistics.quantiles(times, n=100)[-1]
    return {
        "cold": f"{statistics.median(times):.0f}",
        "cold p99": f"{slow:.0f}",
        "cpu": f"{cpu:.0f}",
        "cached": f"{cached:.2f}",
    }


async def _measured(kind: str, config: Config, rows: int) -> dict[str, str]:
    table = CachedTable(make_table(f"{kind}:users", config), SystemClock(), 3600)
    try:
        return await measure(table, rows)
    finally:
        await table.stop()


def main(rows: int = ROWS) -> None:
    """Print the times of all kinds."""
    for kind, run in KINDS.items():
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            config = run(stack, folder, rows)
            times = asyncio.run(_measured(kind, config, rows))
        print(json.dumps({"table": kind, "rows": rows, **times}), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
