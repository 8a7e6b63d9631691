"""Time a trap list alone, without a server: ``python -m bench.lookup LIST`` prints JSON.

``load`` is the first load, without an index; ``reload`` the next one, as after a restart. ``hit``
and ``miss`` are microseconds per look-up, for addresses spread over the whole list.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from bench.traplist import address, addresses
from gatepost.lists.file import ListFile

if TYPE_CHECKING:
    from collections.abc import Sequence

LOOKUPS = 100_000
REPEATS = 3  # the fastest run counts; slower ones include other load


def seconds_to_load(path: Path, cache: Path) -> float:
    """Return the seconds until a list is loaded."""
    start = time.perf_counter()
    ListFile(path, cache).load()
    return time.perf_counter() - start


def microseconds(listed: ListFile, keys: Sequence[str]) -> float:
    """Return the microseconds per look-up."""
    find = listed.current.find
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        for key in keys:
            find(key, key)
        best = min(best, time.perf_counter() - start)
    return best / len(keys) * 1e6


def main(path: Path) -> dict[str, str]:
    """Return all times of one list, as text."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        load, reload = seconds_to_load(path, cache), seconds_to_load(path, cache)
        listed = ListFile(path, cache)
        listed.load()
        size = sum(1 for line in path.open() if line.startswith("user"))
        step = max(1, size // LOOKUPS)
        known = list(islice(addresses(size), 0, None, step))
        unknown = [address(number)[:-3] + "net" for number in range(LOOKUPS)]
        hit = f"{microseconds(listed, known):.2f}" if known else ""
        miss = f"{microseconds(listed, unknown):.2f}"
    return {"load": f"{load:.2f}", "reload": f"{reload:.2f}", "hit": hit, "miss": miss}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
