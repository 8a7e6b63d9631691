"""mypy accepts the typed API. mypy and pyright, or `gatepost check`, report each mistake."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mypy import api
from tools import peers

from gatepost.checks.report import make_report

HERE = Path(__file__).parent
CONFIG = """
[[listen]]
address = "127.0.0.1:0"
[recipients]
domains = ["example.com"]
[[route]]
to = "discard:"
[[plugin]]
use = "mine.py"
"""
ROOT = HERE.parents[1]
EXPECTED = re.compile(r"# E: ([\w-]+)")
REPORTED = re.compile(r":(\d+): error: .* \[([\w-]+)\]$")


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    cache = tmp_path_factory.mktemp("mypy")

    def check(name):
        arguments = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(cache)]
        out, err, _ = api.run([*arguments, "--hide-error-context", str(HERE / name)])
        assert err == ""
        return out

    return check


def test_the_typed_usage_is_accepted(check):
    assert check("api.py").startswith("Success")


@pytest.mark.parametrize("path", sorted((HERE / "unusable").iterdir()), ids=lambda one: one.stem)
def test_every_mistake_that_no_type_shows_is_an_error_of_check(path, tmp_path):
    lines = path.read_text().splitlines()
    (number, expected) = next(
        (number, line.partition("# E: ")[2])
        for number, line in enumerate(lines, 1)
        if "# E: " in line
    )
    plugin = tmp_path / "mine.py"
    plugin.write_text(path.read_text())
    (tmp_path / "gatepost.toml").write_text(CONFIG)
    [error] = make_report(tmp_path / "gatepost.toml", start=True).errors
    assert f"{plugin}:{number}: " in error
    assert expected in error


def test_every_mistake_is_reported(check):
    lines = (HERE / "mistakes.py").read_text().splitlines()
    expected = [(n, code) for n, line in enumerate(lines, 1) for code in EXPECTED.findall(line)]
    matches = map(REPORTED.search, check("mistakes.py").splitlines())
    reported = [(int(match[1]), match[2]) for match in matches if match]
    assert sorted(reported) == sorted(expected)


def test_pyright_reports_an_error_in_the_same_lines():
    pyright = peers.find("pyright")
    if pyright is None:
        pytest.skip(f"pyright is missing: {peers.missing(['pyright'])['pyright']}")
    options = ("--outputjson", "--pythonpath", sys.executable, "--project", HERE)
    done = subprocess.run(
        pyright.argv(*options), env=pyright.env, capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    lines = {(Path(one["file"]).name, one["range"]["start"]["line"] + 1) for one in found}
    text = (HERE / "mistakes.py").read_text().splitlines()
    assert lines == {("mistakes.py", n) for n, line in enumerate(text, 1) if EXPECTED.search(line)}
    assert {one["severity"] for one in found} == {"error"}
