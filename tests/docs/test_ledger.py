"""docs/ledger.md: its code runs, its SQL fits the tables, its figures are those of the code."""

import re
import sqlite3
from contextlib import closing

import pytest
from tests.docs.pages import blocks, page, rows, section
from tests.ledger.made import encoded, refusal, transaction

from gatepost.config.units import format_size
from gatepost.ledger import export, totals
from gatepost.ledger.limits import MAX_LISTED, MAX_TEXT
from gatepost.ledger.matching import letters_of
from gatepost.ledger.records import Record, encode
from gatepost.ledger.selection import KeyKind, Selection
from gatepost.ledger.store import LedgerWriter, buffer, chunk, writer


@pytest.fixture
def ledger(tmp_path):
    made = LedgerWriter(tmp_path / "var" / "ledger", 1e9, 1 << 30, lambda: 1700000000.0, tail=1)
    made.add(
        encoded(transaction(1, sender="user@example.com", result="refused", answers=[refusal()]))
    )
    made.commit()
    made.maintain()
    made.close()
    return tmp_path / "var" / "ledger"


def test_the_python_code_of_the_page_runs(ledger, monkeypatch, capsys):
    monkeypatch.chdir(ledger.parents[1])
    (code,) = blocks("ledger", "python")
    exec(compile(code, "docs/ledger.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "s1.1 refused"
    assert lines[2:] == ["{'gatepost spam': 1}", "[]"]


def test_the_sql_of_the_page_fits_the_tables(ledger):
    (statements,) = blocks("ledger", "sql")
    first, second = (one for one in statements.split(";") if one.strip())
    with closing(sqlite3.connect(ledger / "00000001.sqlite")) as connection:
        assert connection.execute(first).fetchall() == [(1, "2023-11-14 22:13:21", "R")]
        assert connection.execute(second).fetchall() == [("gatepost spam", 1)]


def test_every_kind_of_record_and_of_key_is_listed():
    listed = {
        row[0].strip("`") for row in rows(section("ledger", "What is recorded").partition("###")[0])
    }
    assert listed == {kind.__struct_config__.tag for kind in Record.__args__}
    keys = re.search(r"`Key` is one of (.*?) \(", " ".join(page("ledger").split()))[1]
    assert re.findall(r"`(\w+)`", keys) == list(KeyKind.__args__)


def test_every_letter_is_listed():
    listed = [row[0] for row in rows(section("ledger", "Read it with sqlite3"))]
    assert sorted(re.findall(r"`(\w)`", " ".join(listed))) == sorted(letters_of(Selection()))


def test_the_figures_of_the_page_are_those_of_the_code():
    text = " ".join(page("ledger").split())
    for figure in (
        f"at most {MAX_TEXT} characters, a list at most {MAX_LISTED} entries",
        f"at most {writer.SEGMENT:,} records",
        f"has up to {chunk.CHUNK} records",
        f"up to {format_size(buffer.MAX_OCTETS).replace('MiB', ' MiB')} of records wait",
        f"Up to {format_size(export.MAX_WAITING).replace('MiB', ' MiB')} of lines wait",
        f"the {totals.KEPT:,} largest keys",
    ):
        assert figure in text
    assert writer.PARTS == 8
    assert "eighth of `size`" in text
    assert encode(transaction()) != b""
