"""Run gatepost under cProfile with one of the loads and print where its time goes.

Limits: the profiler makes every call dearer, so shares mislead for small functions; it sees the
process it started, not workers that process starts.
"""

from __future__ import annotations

import io
import pstats
import tempfile
from pathlib import Path

from bench import load, servers
from bench.process import BenchError
from bench.run import Bench, progress

TOP = 40


def profile(bench: Bench, scenario: str) -> str:
    """Return the functions with the most time of their own under a load."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        result = Path(folder) / "profile"
        python = servers.GATEPOST.with_name("python")
        interpreter = [str(python), "-m", "cProfile", "-o", str(result)]
        wanted = bench.load(scenario)
        setup = servers.Setup(Path(folder), refuses=wanted.refused)
        with servers.gatepost_under(interpreter, setup, "gatepost") as server:
            progress(f"profile: {scenario}")
            load.send(server, wanted)
        if not result.exists():
            raise BenchError("gatepost left no profile: it did not end by itself when asked to")
        text = io.StringIO()
        pstats.Stats(str(result), stream=text).sort_stats("tottime").print_stats(TOP)
    return text.getvalue()
