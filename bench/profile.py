"""Run Gatepost under cProfile with one of the loads and print the slowest functions.

Limits: the profiler slows down every call, so the shares of small functions are too high. It sees
only the process it started, not the workers of that process.
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
    """Return the functions with the most internal time under a load."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        result = Path(folder) / "profile"
        python = servers.GATEPOST.with_name("python")
        interpreter = [str(python), "-m", "cProfile", "-o", str(result)]
        scaled = bench.load(scenario)
        setup = servers.Setup(Path(folder), refuses=scaled.refused)
        with servers.gatepost_under(interpreter, setup, "gatepost") as server:
            progress(f"profile: {scenario}")
            load.send(server, scaled)
        if not result.exists():
            raise BenchError("gatepost wrote no profile: it did not end after SIGTERM")
        text = io.StringIO()
        pstats.Stats(str(result), stream=text).sort_stats("tottime").print_stats(TOP)
    return text.getvalue()
