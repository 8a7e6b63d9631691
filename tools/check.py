"""Run the checks of the project: `make check` while you work, `make test` before a change lands.

    python tools/check.py --quick       # about two minutes on two cores
    python tools/check.py               # everything

Every step runs to its end, also after another has failed. The exit status is 1 if any failed, and
the last lines name the failed tests and steps. A program that the tests need and this machine lacks
is named with the reason; its tests are skipped.

The quick run has the tests of QUICK without those that are marked `slow` (see tests/conftest.py):
no servers, no processes. Run the tests of the package that you change besides. The complete run has
all tests, the line coverage of the protocol packages, and the compiled build.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
sys.path.insert(0, str(ROOT))

from tools import compiled, peers  # noqa: E402 - found by the line above

# The environment variable with the file to which pytest appends the names of failed tests.
FAILED_TESTS = "GATEPOST_FAILED_TESTS"

# Programs the tests talk to.
NEEDED = (
    *("smtp-source", "swaks", "curl", "nodemailer", "haproxy", "redis-server"),
    *("nsd", "rspamd", "clamd", "spamd", "slapd", "cookbook", "pyright", "authres", "pydmarc"),
    "mailauth",
)

# Packages of which every line must be covered.
COVERED = ("wire", "session", "plugin", "traps", "auth")
# Tests of packages without sockets and processes. Tracing does not change their result, so they run
# only once, under coverage.
PURE = tuple(f"tests/{folder}" for folder in ("model", *COVERED, "lists"))
# The tests of `make check`.
QUICK = (
    *PURE,
    *(f"tests/{name}" for name in ("allow", "config", "registry", "docs", "test_house.py")),
)
# These run twice, because tracing changes the order of events; the slow ones start processes, which
# are not traced.
TRACED_AGAIN = ("tests/server", "-m", "not slow")
# Tests for the compiled build: they replace no part of it.
COMPILED = (
    *("tests/wire", "tests/e2e"),
    *(f"tests/ledger/test_{name}.py" for name in ("link", "shape", "store", "totals")),
    *("tests/session/test_recording.py", "tests/log", "tests/lists", "tests/test_structs.py"),
    *(f"tests/mailauth/{name}" for name in ("arc", "dmarc", "results")),
    *(f"tests/mailauth/dkim/test_{name}.py" for name in ("body", "signatures", "verify")),
    *(f"tests/mailauth/test_spf_{name}.py" for name in ("parse", "suite")),
)
# Tests of code that is not compiled.
NOT_COMPILED = tuple(
    f"tests/e2e/test_{name}.py"
    for name in ("clients", "disk", "durability", "queue", "quota", "scanners", "unpacked")
)


class Step(NamedTuple):
    """A command, its title, and what is added to its environment."""

    title: str
    argv: Sequence[str]
    env: Mapping[str, str] = MappingProxyType({})


STATIC = (
    Step("format", (str(BIN / "ruff"), "format", "--check", ".")),
    Step("lint", (str(BIN / "ruff"), "check", ".")),
    Step("types", (str(BIN / "mypy"),)),
    Step("import contracts", (str(BIN / "lint-imports"),)),
    Step("words", (sys.executable, "tools/words.py")),
    Step("spelling", (str(BIN / "codespell"),)),
)


def pytest(*arguments: str) -> tuple[str, ...]:
    """Return the command that runs tests on all cores."""
    return (str(BIN / "pytest"), "-q", "-n", str(os.cpu_count() or 1), *arguments)


def ignore(paths: Sequence[str]) -> Iterator[str]:
    """Yield the options that leave out these tests."""
    return (f"--ignore={path}" for path in paths)


def quick_steps() -> Iterator[Step]:
    """Yield the steps of `make check`."""
    yield from STATIC
    yield Step("fast tests", pytest("-m", "not slow", *QUICK))


def all_steps() -> Iterator[Step]:
    """Yield the steps of `make test`."""
    covered = ",".join(f"*/gatepost/{package}/*" for package in COVERED)
    report = (str(BIN / "coverage"), "report", "--fail-under=100", "--skip-covered")
    yield from STATIC
    yield from _pyright_steps()
    yield Step("tests", pytest(*ignore(PURE)))
    yield Step("tests under coverage", pytest(*PURE, *TRACED_AGAIN, "--cov", "--cov-report="))
    yield Step("coverage", (*report, f"--include={covered}"))
    yield from _compiled_steps()


def _pyright_steps() -> Iterator[Step]:
    """Yield the step that checks the cookbook as an editor does; tests/typing has the mistakes."""
    command = peers.find("pyright")
    if command is None:
        print(f"left out: types with pyright: {peers.missing(['pyright'])['pyright']}")
    else:
        argv = command.argv("--pythonpath", BIN / "python")
        yield Step("types with pyright", argv, command.env)


def _compiled_steps() -> Iterator[Step]:
    print("\n== build with mypyc", flush=True)
    try:
        build = compiled.build()
    except compiled.NoCompilerError as error:
        print(f"left out: tests of the compiled build: {error}")
    else:
        command = pytest(*COMPILED, *ignore(NOT_COMPILED))
        yield Step("tests of the compiled build", command, {"PYTHONPATH": str(build)})


def run(step: Step) -> bool:
    """Run one step; return whether it succeeded."""
    print(f"\n== {step.title}", flush=True)
    start = time.monotonic()
    result = subprocess.run(step.argv, cwd=ROOT, env={**os.environ, **step.env}, check=False)
    outcome = "ok" if result.returncode == 0 else f"FAILED ({result.returncode})"
    print(f"== {step.title}: {outcome}, {time.monotonic() - start:.0f} s", flush=True)
    return result.returncode == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch what is needed, run the steps and list those that failed; return the exit status."""
    parser = argparse.ArgumentParser(description="Run the checks of the project.")
    parser.add_argument("--quick", action="store_true", help="leave out the slow tests")
    quick = parser.parse_args(arguments).quick
    if not quick:
        _fetch()
    with tempfile.NamedTemporaryFile("r", prefix="gatepost-failed-") as names:
        os.environ[FAILED_TESTS] = names.name
        failed = [step.title for step in (quick_steps() if quick else all_steps()) if not run(step)]
        tests = names.read().splitlines()
    print()
    for name in dict.fromkeys(tests):
        print(f"failed: {name}")
    print("failed: " + ", ".join(failed) if failed else "all checks passed")
    return 1 if failed else 0


def _fetch() -> None:
    for name, reason in peers.missing(NEEDED).items():
        print(f"left out: tests that need {name}: {reason}")


if __name__ == "__main__":
    sys.exit(main())
