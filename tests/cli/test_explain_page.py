"""docs/explain.md: the examples print what the page shows."""

import re
import shlex

import pytest
from tests.cli.conftest import REQUIRED
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


@pytest.fixture
def new(ledger):
    """The configuration that the page tests, in the current folder."""
    (sample,) = blocks_of(PAGE, "toml")
    (ledger / "new-traps").write_text("trap@example.com\nbob@example.com left in 2019\n")
    (ledger / "new.toml").write_text("\n".join((sample, *REQUIRED.values())))


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_the_output_is_that_of_the_command(run, new, terminal, command, output):
    result = run(*shlex.split(command, comments=True))
    assert (result.stderr, result.stdout) == ("", output)


def test_there_are_examples():
    assert {one.split()[0] for one, _ in SHOWN} == {"explain", "log", "replay", "report"}


@pytest.mark.parametrize(
    ("name", "title", "short"),
    [
        ("log", "Log", {"-f": "--follow"}),
        ("replay", "Test a configuration on recorded mail", {"-c": "--config"}),
    ],
)
def test_every_option_is_described(name, title, short):
    table = "".join(row[0] for row in rows(section("explain", title)))
    described = {short.get(one, one) for one in re.findall(r"`(-[\w-]+)", table)}
    command = gatepost.get_command(None, name)
    options = {max(one.opts, key=len) for one in command.params}
    assert described | {"--config"} == options | {"--config"}
