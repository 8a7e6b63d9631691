"""docs/authcheck.md: its example, its cases and its program are those of the command."""

import re

import pytest
from click.testing import CliRunner
from tests.docs.pages import blocks, rows, section

from gatepost.cli.authcheck import command
from gatepost.cli.commands import gatepost

MESSAGE, *_ = blocks("authcheck", "text")
ZONE, CASES = blocks("authcheck", "json")
EXPLAINED, TRIED, BULK = blocks("authcheck", "console")


def run(*arguments, text=None):
    return CliRunner().invoke(gatepost, arguments, input=text)


@pytest.fixture
def files(tmp_path, monkeypatch):
    (tmp_path / "message.eml").write_text(MESSAGE)
    (tmp_path / "zone.json").write_text(ZONE)
    monkeypatch.chdir(tmp_path)


def typed(block):
    """Return the arguments of the command in a block, and the output below it."""
    first, _, output = block.partition("\n")
    return first.partition("gatepost ")[2].split(), output


def test_the_example_is_explained_so(files):
    arguments, output = typed(EXPLAINED)
    result = run(*arguments, "--zone", "zone.json")
    assert result.exit_code == 0
    assert result.stdout.startswith(output)
    assert run(*typed(TRIED)[0]).exit_code == 0


def test_the_cases_have_these_results(files):
    arguments, output = typed(BULK)
    result = run(*arguments, text=CASES)
    assert result.stdout == output
    assert result.exit_code == 1


def test_the_sections_are_those_of_the_output(files):
    arguments, _ = typed(EXPLAINED)
    printed = run(*arguments, "--zone", "zone.json").stdout
    described = [row[0] for row in rows(section("authcheck", "One message"))[:6]]
    names = re.findall(r"^(\w[\w -]*?) {2,}", printed, re.MULTILINE)
    assert [name for name in names if name in described] == described
    assert set(names) - set(described) == {"Message", "Client", "MAIL FROM", "From"}


def test_every_option_is_described():
    described = {row[0].strip("`") for row in rows(section("authcheck", "One message"))[6:]}
    named = {option for one in command.params for option in one.opts if option.startswith("-")}
    assert described == named - {"--config"}


def test_the_program_prints_a_result(capsys):
    (code,) = blocks("authcheck", "python")
    exec(compile(code, "docs/authcheck.md", "exec"), {})
    expected = "pass none DKIM of example.org is aligned with shop.example.org (relaxed)\n"
    assert capsys.readouterr().out == expected
