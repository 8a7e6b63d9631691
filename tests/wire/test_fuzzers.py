import ast
import random
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from fuzz.engine import MAX_INPUT, Target, inputs, run

ROOT = Path(__file__).parents[2]
FUZZERS = sorted(
    path.stem for path in (ROOT / "fuzz").glob("*.py") if path.stem not in ("__init__", "engine")
)


@pytest.mark.parametrize("name", FUZZERS)
def test_a_short_run_keeps_the_invariant(name):
    command = [sys.executable, "-m", f"fuzz.{name}", "--plain", "--runs", "400", "--seed", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "400 inputs, the invariant held\n"), done.stderr


@pytest.mark.parametrize("name", FUZZERS)
def test_the_first_line_of_a_fuzzer_states_its_invariant(name):
    tree = ast.parse((ROOT / "fuzz" / f"{name}.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree).splitlines()[0].endswith(".")


def never_two_dots(data):
    assert b".." not in data


TARGET = Target(never_two_dots, [b"a.b", b"c"], [b"..", b"x"])


def test_an_input_that_breaks_the_invariant_is_shown_and_saved(tmp_path, capsys):
    saved = tmp_path / "broken"
    options = ["--plain", "--seed", "7", "--runs", "5000", "--save", str(saved)]
    assert run(TARGET, options) == 1
    assert b".." in saved.read_bytes()
    output = capsys.readouterr()
    assert f"broken by {saved.read_bytes()!r}\n" in output.err
    assert "AssertionError" in output.err
    assert run(TARGET, [str(saved)]) == 1


def test_a_saved_input_that_no_longer_fails_passes(tmp_path, capsys):
    (tmp_path / "input").write_bytes(b"a.b")
    assert run(TARGET, [str(tmp_path / "input")]) == 0
    assert capsys.readouterr().out == "1 inputs, the invariant held\n"


def test_without_time_no_input_is_run(capsys):
    assert run(TARGET, ["--plain", "--seconds", "0"]) == 0
    output = capsys.readouterr()
    assert output.out == "0 inputs, the invariant held\n"
    assert output.err.startswith("seed ")


def test_seeds_come_first_and_the_same_seed_gives_the_same_inputs():
    one, other = (list(islice(inputs(TARGET, random.Random(3)), 200)) for _ in range(2))
    assert one == other
    assert one[:2] == TARGET.seeds
    assert len(set(one)) > 100
    assert max(map(len, one)) <= MAX_INPUT
