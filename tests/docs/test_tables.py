"""docs/tables.md: its configuration, its commands, its plugin and its limits."""

import re
import sys

import pytest
from click.testing import CliRunner
from tests.docs.pages import blocks, page, rows, section

from gatepost.cli.commands import gatepost
from gatepost.config.load import load_config
from gatepost.config.schema import Config
from gatepost.config.units import format_size
from gatepost.lists.file import INDEX_ABOVE
from gatepost.tables.answers import MOST
from gatepost.tables.cached import FAILURES, PAUSE
from gatepost.tables.known import keys_of
from gatepost.tables.registry import TYPES, make_table
from gatepost.testing import play

FILES = {
    block.split()[1]: block
    for language in ("toml", "text", "python")
    for block in blocks("tables", language)
}
NUMBERS = ("no", "one", "two", "three", "four", "five")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("block", blocks("tables", "console"))
def test_a_command_prints_what_the_page_has(folder, block):
    first, _, output = block.partition("\n")
    result = CliRunner().invoke(gatepost, first.removeprefix("$ gatepost ").split())
    assert result.stdout == output
    assert result.exit_code == (1 if "null" in output else 0)


def test_the_recipients_of_the_example(folder):
    play(
        """
        S: 220
        C: EHLO client.example
        S: 250
        C: MAIL FROM:<a@client.example>
        S: 250
        C: RCPT TO:<Ann+news@example.com>
        S: 250
        C: RCPT TO:<kim@example.com>
        S: 250
        C: RCPT TO:<bob@example.com>
        S: 550 5.1.1 No such mailbox*
        """,
        config=load_config(folder / "gatepost.toml"),
    )


def test_the_keys_of_a_recipient():
    described = [row[1].strip("`") for row in rows(section("tables", "Recipients"))[:3]]
    assert described == keys_of(described[0], described[1])


def test_every_type_is_described():
    listed = rows(page("tables").partition("## Recipients")[0])
    assert [row[0].split("`")[1].partition(":")[0] for row in listed] == list(TYPES)
    for row, (name, kind) in zip(listed, TYPES.items(), strict=True):
        extra = f"pip install 'gatepost[{kind.extra}]'" if kind.extra else ""
        assert f"`{name}:{kind.rest}`" in row[0]
        assert row[3].strip("`") == extra
        assert section("tables", name)


@pytest.mark.parametrize("name", ["virtual", "aliases"])
def test_a_file_of_the_page_has_no_bad_lines(folder, name):
    kind = "texthash" if name == "virtual" else name
    table = make_table(f"{kind}:{name}", Config(base=folder))
    table.find([])
    (file,) = table.files
    assert (len(file.current), file.current.errors) == (2, [])


def test_the_limits_are_those_of_the_code():
    assert f"At most\n{MOST:,} positive and {MOST:,} negative answers" in section("tables", "Cache")
    outages = section("tables", "Outages")
    assert f"After {NUMBERS[FAILURES]} failures in a row" in outages
    assert re.search(rf"every\s+{PAUSE:g} seconds only", outages)
    assert f"at most {format_size(INDEX_ABOVE)[:-3]} {format_size(INDEX_ABOVE)[-3:]}" in section(
        "tables", "Files"
    )


def test_the_test_of_the_plugin_passes(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    names = {}
    try:
        exec(compile(FILES["test_allowed_senders.py"], "docs/tables.md", "exec"), names)
        names["test_senders_are_looked_up"]()
    finally:
        sys.modules.pop("allowed_senders", None)
