"""The specification of a table: its type, its options, and what is wrong with it."""

import asyncio

import pytest

from gatepost.config.schema import Config
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.tables.registry import TYPES, TableType, make_table
from gatepost.tables.spec import TableSpecError
from gatepost.tables.table import TableError
from gatepost.tables.tables import Tables
from gatepost.testing import MemoryTable


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("", 'found ""'),
        ("users", 'found "users"'),
        ("mysql:users", 'found "mysql:users"'),
        ("file", 'found "file"'),
        ("file:", 'expected "file:PATH", found "file:"'),
        ("file: \t", "file:PATH"),
        ("file:a\nb", r'found "file:a\nb"'),
    ],
)
def test_a_wrong_specification_is_an_error(spec, problem):
    with pytest.raises(TableSpecError) as found:
        make_table(spec, Config())
    assert problem in str(found.value)


def test_a_missing_extra_is_named(monkeypatch):
    kind = TableType("NAME", "nowhere:Nothing", needs="gatepost_nowhere", extra="nothing")
    monkeypatch.setitem(TYPES, "nothing", kind)
    with pytest.raises(TableSpecError, match=r"pip install 'gatepost\[nothing\]'"):
        make_table("nothing:x", Config())


def test_the_same_specification_is_the_same_table():
    table = MemoryTable({"a": "1"})
    tables = Tables(Config(), VirtualClock(), {"sql:users": table})
    assert tables.open("sql:users") is tables.open("sql:users")
    assert asyncio.run(tables.open("sql:users").ask(["a"])) == {"a": "1"}
    assert len(list(tables)) == 1


def test_a_list_file_has_the_notes_of_its_entries(tmp_path):
    (tmp_path / "users").write_text("a@example.com a note\n@example.org\n/^sales-/ pattern\n")

    async def run():
        tables = Tables(Config(base=tmp_path), VirtualClock())
        table = tables.open("file:users")
        await tables.start()
        assert table.find(["a@example.com", "b@example.com", "x@example.org", "@example.org"]) == {
            "a@example.com": "a note",
            "x@example.org": "",
            "@example.org": "",
        }
        assert table.find(["sales-1@example.com"]) == {"sales-1@example.com": "pattern"}
        (file,) = tables.files
        assert file.path == tmp_path / "users"
        await tables.stop()

    asyncio.run(run())


def test_a_missing_list_file_is_an_error(tmp_path):
    table = make_table("file:nowhere", Config(base=tmp_path))
    with pytest.raises(TableError, match="cannot be read"):
        table.find(["a@example.com"])
    with pytest.raises(TableError, match=r"table file:nowhere: .*/nowhere: cannot be read"):
        asyncio.run(table.start())
