"""Everything that has to hold before a change may land: `make test`.

Every step runs to its end whatever the others say; the exit code is 1 if any failed. What this
machine cannot have is named with the reason, and the tests that need it are left out.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
sys.path.insert(0, str(ROOT))

from tools import compiled, peers  # noqa: E402 - found by the line above

# Rooms whose every line a test has to walk.
COVERED = ("wire", "session", "plugin", "traps", "auth")
# The tests that do; apart from the others, because tracing changes when things happen.
COVERING_TESTS = tuple(f"tests/{shelf}" for shelf in ("model", *COVERED, "lists", "server"))
# What the compiled build is tested with: tests that replace no part of it.
COMPILED_TESTS = ("tests/wire", "tests/e2e")
# Programs the tests talk to.
NEEDED = ("smtp-source", "swaks", "curl", "nodemailer", "haproxy")


class Step(NamedTuple):
    """A command, what it is called, and what is added to its environment."""

    name: str
    argv: list[str]
    env: Mapping[str, str] = MappingProxyType({})


def steps() -> list[Step]:
    """Return the steps, in their order."""
    pytest = [str(BIN / "pytest"), "-q", "-n", str(os.cpu_count() or 1)]
    covered = ",".join(f"*/gatepost/{room}/*" for room in COVERED)
    report = [str(BIN / "coverage"), "report", "--fail-under=100", "--skip-covered"]
    planned = [
        Step("format", [str(BIN / "ruff"), "format", "--check", "."]),
        Step("lint", [str(BIN / "ruff"), "check", "."]),
        Step("types", [str(BIN / "mypy")]),
        Step("import contracts", [str(BIN / "lint-imports")]),
        Step("tests", pytest),
        Step("coverage run", [*pytest, *COVERING_TESTS, "--cov=gatepost", "--cov-report="]),
        Step("coverage", [*report, f"--include={covered}"]),
    ]
    try:
        build = {"PYTHONPATH": str(compiled.build())}
        planned.append(Step("tests of the compiled build", [*pytest, *COMPILED_TESTS], build))
    except compiled.NoCompilerError as error:
        print(f"left out: tests of the compiled build: {error}")
    return planned


def run(step: Step) -> bool:
    """Run one step; return whether it succeeded."""
    print(f"\n== {step.name}", flush=True)
    began = time.monotonic()
    result = subprocess.run(step.argv, cwd=ROOT, env={**os.environ, **step.env}, check=False)
    outcome = "ok" if result.returncode == 0 else f"FAILED ({result.returncode})"
    print(f"== {step.name}: {outcome}, {time.monotonic() - began:.0f} s", flush=True)
    return result.returncode == 0


def main() -> int:
    """Fetch what is needed, run all steps, say which failed; return the exit code."""
    for name, reason in peers.missing(NEEDED).items():
        print(f"left out: tests that need {name}: {reason}")
    failed = [step.name for step in steps() if not run(step)]
    print(f"\n{'failed: ' + ', '.join(failed) if failed else 'all is well'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
