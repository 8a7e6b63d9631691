"""tools/check.py: every step runs, and every test runs in some step of `make test`."""

import os
import sys

import pytest
from tests.conftest import SLOW, TESTS
from tools import check, compiled


def step(title, code):
    return check.Step(title, (sys.executable, "-c", f"raise SystemExit({code})"))


@pytest.fixture
def run_steps(monkeypatch):
    """A function that runs these steps in place of those of `make check`."""

    def run(*steps):
        monkeypatch.setattr(check, "quick_steps", lambda: iter(steps))
        return check.main(["--quick"])

    return run


def test_a_failed_step_does_not_stop_the_others(run_steps, capfd):
    assert run_steps(step("one", 1), step("two", 0), step("three", 2)) == 1
    output = capfd.readouterr().out
    assert "== one: FAILED (1)" in output
    assert "== two: ok" in output
    assert output.endswith("failed: one, three\n")


def test_the_failed_tests_are_named_at_the_end(run_steps, capfd, tmp_path):
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_terminal_summary\n")
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert False\n"
        "@pytest.fixture\n"
        "def broken(): raise ValueError\n"
        "def test_error(broken): pass\n"
    )
    command = (sys.executable, "-m", "pytest", "-q", "--rootdir", str(tmp_path), str(tmp_path))
    tests = check.Step("tests", command, {"PYTHONPATH": os.pathsep.join(sys.path)})
    assert run_steps(tests, step("other", 0)) == 1
    assert capfd.readouterr().out.endswith(
        "\n\nfailed: test_it.py::test_bad\nfailed: test_it.py::test_error\nfailed: tests\n"
    )


def test_success_exits_with_zero(run_steps, capfd):
    assert run_steps(step("one", 0)) == 0
    assert capfd.readouterr().out.endswith("all checks passed\n")


def test_a_missing_compiler_skips_only_the_compiled_build(monkeypatch, capsys):
    def build():
        raise compiled.NoCompilerError("no C compiler found")

    monkeypatch.setattr(compiled, "build", build)
    titles = [step.title for step in check.all_steps()]
    assert titles[-2:] == ["tests under coverage", "coverage"]
    assert "left out: tests of the compiled build: no C compiler found" in capsys.readouterr().out


def test_every_test_runs_in_make_test(monkeypatch):
    monkeypatch.setattr(compiled, "build", lambda: "compiled")
    commands = {step.title: step.argv for step in check.all_steps()}
    ignored = {word.removeprefix("--ignore=") for word in commands["tests"] if "--ignore" in word}
    assert ignored <= set(commands["tests under coverage"])


@pytest.mark.parametrize("path", [*check.PURE, *check.COMPILED, *check.NOT_COMPILED])
def test_the_paths_of_the_steps_exist(path):
    assert (check.ROOT / path).exists()


@pytest.mark.parametrize("path", SLOW)
def test_the_paths_of_slow_tests_exist(path):
    assert (TESTS / path).exists()


def test_covered_packages_have_tests_under_coverage():
    assert {f"tests/{package}" for package in check.COVERED} <= set(check.PURE)
