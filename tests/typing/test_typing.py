"""mypy accepts the typed usage of the API, and reports each mistake of a plugin's author."""

import re
from pathlib import Path

import pytest
from mypy import api

HERE = Path(__file__).parent
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


def test_every_mistake_is_reported(check):
    lines = (HERE / "mistakes.py").read_text().splitlines()
    expected = [(n, code) for n, line in enumerate(lines, 1) for code in EXPECTED.findall(line)]
    matches = map(REPORTED.search, check("mistakes.py").splitlines())
    reported = [(int(match[1]), match[2]) for match in matches if match]
    assert sorted(reported) == sorted(expected)
