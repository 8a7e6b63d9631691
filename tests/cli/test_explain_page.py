"""docs/explain.md: the examples print what the page shows."""

import re
import shlex

import pytest
from tests.docs.pages import DOCS, ROOT, blocks_of, rows, section

from gatepost.cli import explain, log
from gatepost.cli.commands import gatepost

PAGE = DOCS / "explain.md"


def examples(path):
    """Yield each command that is followed by its output, and the output."""
    for block in blocks_of(path, "console"):
        first, _, output = block.partition("\n")
        if output and first.startswith("$ gatepost ") and not output.startswith("$ "):
            yield first.removeprefix("$ gatepost "), output


SHOWN = [*examples(PAGE), *[one for one in examples(ROOT / "README.md") if "explain" in one[0]]]


@pytest.fixture
def terminal(monkeypatch):
    """A width of 80 columns, without colours."""
    for command in (explain, log):
        monkeypatch.setattr(command, "terminal_width", lambda: 80)


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_the_output_is_that_of_the_command(run, ledger, terminal, command, output):
    result = run(*shlex.split(command, comments=True))
    assert (result.stderr, result.stdout) == ("", output)


def test_there_are_examples():
    assert {one.split()[0] for one, _ in SHOWN} == {"explain", "log", "report"}


def test_every_option_of_the_log_is_described():
    table = "".join(row[0] for row in rows(section("explain", "Log")))
    described = set(re.findall(r"`(-[\w-]+)", table))
    command = gatepost.get_command(None, "log")
    options = {max(one.opts, key=len) for one in command.params} - {"--follow", "--config"}
    assert described == options | {"-f"}
