"""Time the operations of the store: ``python -m bench.store [URL…]`` prints a table.

A URL is `memory`, `local`, or that of a Redis server; without any, the two local stores and a Redis
of its own are measured. A figure is microseconds of CPU time of this process for an operation that
is awaited before the next one. `batch` is for one of eight operations in a batch, `together` for
one of 64 callers at the same time.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tools import redis

from gatepost.store.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from gatepost.store.store import Store

COUNT = 4000
KEYS = 500
BATCH = 8
TOGETHER = 64
REPEATS = 3  # the fastest run counts; slower ones include other load
PATIENT = 10.0


async def batched(store: Store, number: int) -> None:
    """Count in a batch."""
    async with store.batch() as batch:
        for one in range(BATCH):
            batch.incr(f"i{(number + one) % KEYS}", ttl=60)


async def together(store: Store, number: int) -> None:
    """Count for several callers at the same time."""
    await asyncio.gather(
        *(store.incr(f"i{(number + one) % KEYS}", ttl=60) for one in range(TOGETHER))
    )


# The operations: how many each call has, and the call.
OPERATIONS: dict[str, tuple[int, Callable[[Store, int], Awaitable[object]]]] = {
    "get": (1, lambda store, number: store.get(f"i{number % KEYS}")),
    "incr": (1, lambda store, number: store.incr(f"i{number % KEYS}", ttl=60)),
    "add": (1, lambda store, number: store.add(f"a{number}", ttl=60)),
    "take": (1, lambda store, number: store.take(f"t{number % KEYS}", rate=1, burst=10)),
    "batch": (BATCH, batched),
    "together": (TOGETHER, together),
}


async def measured(store: Store) -> list[float]:
    """Return the microseconds of each operation."""
    found = []
    for size, call in OPERATIONS.values():
        best = float("inf")
        for _ in range(REPEATS):
            start = time.process_time()
            for number in range(COUNT // size):
                await call(store, number)
            best = min(best, time.process_time() - start)
        found.append(best / (COUNT // size * size) * 1e6)
    return found


async def row(url: str, folder: Path) -> list[float]:
    """Return the figures of one store."""
    opened = open_store(url, folder=folder, prefix="bench:", timeout=PATIENT)
    try:
        return await measured(opened.scope("bench"))
    finally:
        await opened.close()


def main(urls: Sequence[str]) -> None:
    """Print the table."""
    with ExitStack() as stack:
        if not urls:
            urls = ["memory", "local"]
            if not redis.why_not():
                server = stack.enter_context(redis.running())
                urls += [server.url, f"redis://127.0.0.1:{server.port}"]
        print("".join(f"{name:>10}" for name in OPERATIONS), " µs")
        for url in urls:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            figures = asyncio.run(row(url, folder / "store"))
            print(
                "".join(f"{figure:10.1f}" for figure in figures), "", url.partition("@")[2] or url
            )


if __name__ == "__main__":
    main(sys.argv[1:])
