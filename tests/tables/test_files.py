"""Tables in files: their formats, changes while they are used, and files that are wrong."""

import asyncio
import contextlib
import io
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tables.databases import write_cdb, write_lmdb
from tools import postmap

from gatepost.config.schema import Config
from gatepost.lists.entry import LineError
from gatepost.lists.file import INDEX_ABOVE
from gatepost.lists.reloadable import KEEP_PREVIOUS, ReloadableFile
from gatepost.tables.registry import make_table
from gatepost.tables.table import TableError
from gatepost.tables.types import aliases, passwd, qmail, texthash
from gatepost.tables.types.text_file import read_rows

PARSERS = {
    "texthash": texthash._parse,
    "aliases": aliases._parse,
    "passwd": passwd._parse,
    "qmail": qmail._parse,
}
SOURCE = """\
# comment
Kim@EXAMPLE.com   kim x

  # comment
\tmore
"a b"@example.com ann
novalue
kim@example.com second
@example.org all
ü@example.com z
key: v
"""


def table(folder, spec):
    return make_table(spec, Config(base=folder))


def rows(kind, text):
    found = read_rows(PARSERS[kind], io.BytesIO(text.encode()), "users")
    return found.values, [(one.line, one.expected) for one in found.errors]


GROW = """
import lmdb, sys
with lmdb.open(sys.argv[1], subdir=False, lock=False, map_size=1 << 26) as database:
    with database.begin(write=True) as transaction:
        for number in range(100_000):
            transaction.put(b"new%d" % number, b"x" * 200)
"""


def grow(path):
    """Add 100,000 keys to a database, in another process, as a process cannot open it twice."""
    subprocess.run([sys.executable, "-c", GROW, path], check=True, timeout=60)


# Text


def test_the_source_of_a_postfix_table():
    assert rows("texthash", SOURCE) == (
        {
            "kim@example.com": "kim x\tmore",
            '"a b"@example.com': "ann",
            "@example.org": "all",
            "ü@example.com": "z",
            "key:": "v",
        },
        [(7, "a key, white space and a value")],
    )


@pytest.mark.parametrize("kind", ["texthash", "lmdb", "cdb"])
def test_postfix_finds_the_same(tmp_path, kind):
    if reason := postmap.why_not():
        pytest.skip(reason)
    path = tmp_path / "users"
    path.write_text(SOURCE)
    with postmap.configured() as tool:
        if kind != "texthash":
            tool.make(kind, path)
        spec = f"{kind}:{path}"
        place = spec if kind == "texthash" else f"{spec}.{kind}"
        for key in (
            *("kim@example.com", '"a b"@example.com', "a b@example.com", "@example.org"),
            *("ü@example.com", "key:", "key", "novalue", "more", "none@example.com"),
        ):
            value = tool.query(spec, key)
            assert table(tmp_path, place).find([key]) == ({} if value is None else {key: value})


def test_an_alias_file():
    text = (
        'postmaster: root\n"a b" :ann,\n  "|prog -x",\n\t:include:/etc/list\nRoot: Kim\n'
        "empty:\nno colon\nkim@example.com: x\n"
    )
    assert rows("aliases", text) == (
        {
            "postmaster": "root",
            '"a b"': 'ann,  "|prog -x",\t:include:/etc/list',
            "root": "Kim",
            "kim@example.com": "x",
        },
        [(6, "a name, a colon and a value"), (7, "a name, a colon and a value")],
    )


def test_users_of_the_system():
    text = "root:x:0:0:root:/root:/bin/sh\nkim:x:1:1::/home/kim:\n:x:1:1:::\nbad:x\n+nis\n"
    found, errors = rows("passwd", text)
    assert found == {"root": "/root", "kim": "/home/kim"}
    assert [line for line, _ in errors] == [3, 4, 5]


def test_keys_of_local_parts_are_found_in_every_domain(tmp_path):
    (tmp_path / "aliases").write_text("postmaster: root\n")
    found = table(tmp_path, "aliases:aliases").find(
        ["postmaster@example.com", "postmaster", "@example.com", "x@postmaster"]
    )
    assert found == {"postmaster@example.com": "root", "postmaster": "root"}


def test_the_users_of_qmail(tmp_path):
    (tmp_path / "assign").write_text(
        "=kim:kim:1:1:/home/kim:::\n+list-:lists:2:2:/home/lists:-::\n"
        "+list-big-:big:3:3:/home/big:-::\n=bad\n?x:x:1:1:/x:::\n.\n"
    )
    found = table(tmp_path, "qmail:assign")
    keys = ["kim@example.com", "list-a@example.com", "list-big-a", "kimx", "list", "@example.com"]
    assert found.find(keys) == {
        "kim@example.com": "/home/kim",
        "list-a@example.com": "/home/lists",
        "list-big-a": "/home/big",
    }
    assert len(found.files[0].current.errors) == 2
    (tmp_path / "assign").write_text("+:all:1:1:/home/all:-::\n.\n")
    assert table(tmp_path, "qmail:assign").find(keys[-2:]) == {"list": "/home/all"}


def test_a_continuation_without_a_first_line_is_an_error():
    assert rows("texthash", "  x y\na b\n") == (
        {"a": "b"},
        [(1, "a key at the start of the first line")],
    )


def test_a_file_that_is_too_big_names_the_limit(tmp_path):
    (tmp_path / "users").write_bytes(b"a b\n" * (INDEX_ABOVE // 4 + 1))
    with pytest.raises(TableError, match=f"expected at most {INDEX_ABOVE} octets"):
        table(tmp_path, "texthash:users").find(["a"])


@pytest.mark.parametrize("kind", PARSERS)
@given(content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_octets_are_rows_or_errors(kind, content):
    found = read_rows(PARSERS[kind], io.BytesIO(content), "users")
    assert all(isinstance(one, LineError) for one in found.errors)
    assert found.bad_lines >= len(found.errors)
    assert all(isinstance(one, str) for pair in found.values.items() for one in pair)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9.]{1,9}@[a-z]{1,9}", fullmatch=True),
        st.from_regex(r"[!-~]([ -~]{0,20}[!-~])?", fullmatch=True),
    )
)
def test_what_is_written_is_read(content):
    text = "".join(f"{key}\t{value}\n" for key, value in content.items())
    assert rows("texthash", text) == (content, [])


# Databases in files

DATABASES = {
    "cdb": ({b"kim@example.com": b"kim", b"u\xc3\xbc": b""}, write_cdb),
    "cdb with NUL": ({b"kim@example.com\0": b"kim\0", b"u\xc3\xbc\0": b"\0"}, write_cdb),
    "lmdb": ({b"kim@example.com": b"kim", b"u\xc3\xbc": b""}, write_lmdb),
    "lmdb with NUL": ({b"kim@example.com\0": b"kim\0", b"u\xc3\xbc\0": b"\0"}, write_lmdb),
}


@pytest.mark.parametrize("name", DATABASES)
def test_a_database_finds_keys(tmp_path, name):
    content, write = DATABASES[name]
    write(tmp_path / "users", content)
    found = table(tmp_path, f"{name[:4].strip()}:users")
    assert found.find(["kim@example.com", "uü", "", "none", "x" * 600, "kim"]) == {
        "kim@example.com": "kim",
        "uü": "",
    }
    assert len(found.files[0].current) == 2


@pytest.mark.parametrize("kind", ["cdb", "lmdb"])
def test_a_database_that_is_not_one_is_an_error(tmp_path, kind):
    for content in (b"", b"x" * 100, b"\xff" * 10_000):
        (tmp_path / "users").write_bytes(content)
        with pytest.raises(TableError, match=r"expected a (file in the format CDB|database of LM)"):
            asyncio.run(table(tmp_path, f"{kind}:users").start())
    with pytest.raises(TableError, match="nowhere: cannot be read"):
        table(tmp_path, f"{kind}:nowhere").find(["x"])


@given(content=st.binary(max_size=3000))
def test_no_octets_break_a_cdb(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("cdb")
    (folder / "users").write_bytes(content)
    with contextlib.suppress(TableError):
        assert isinstance(table(folder, "cdb:users").find(["x", ""]), dict)


def test_a_cdb_that_is_cut_off_while_it_is_used_is_a_failure(tmp_path):
    write_cdb(tmp_path / "users", {b"key%d" % number: b"x" * 100 for number in range(1000)})
    found = table(tmp_path, "cdb:users")
    assert found.find(["key999"]) == {"key999": "x" * 100}
    os.truncate(tmp_path / "users", 3000)
    with pytest.raises(TableError, match="damaged"):
        found.find(["key999"])


def test_a_folder_of_lmdb_with_its_locks(tmp_path):
    write_lmdb(tmp_path / "users", {b"kim": b"x"}, subdir=True, lock=True)
    assert (tmp_path / "users/lock.mdb").exists()
    assert table(tmp_path, "lmdb:users").find(["kim"]) == {"kim": "x"}


def test_a_database_can_be_open_twice(tmp_path):
    write_lmdb(tmp_path / "users", {b"kim": b"x"})
    first, second = table(tmp_path, "lmdb:users"), table(tmp_path, "lmdb:users")
    assert first.find(["kim"]) == second.find(["kim"]) == {"kim": "x"}


# Changes


def refresh(found):
    (file,) = found.files
    return file.refresh()


@pytest.mark.parametrize("kind", ["texthash", "cdb", "lmdb"])
def test_a_new_version_replaces_the_old_one(tmp_path, kind):
    path = tmp_path / "users"

    def write(name):
        new = tmp_path / "new"
        if kind == "texthash":
            new.write_text(f"{name} x\n")
        else:
            {"cdb": write_cdb, "lmdb": write_lmdb}[kind](new, {name.encode(): b"x"})
        new.replace(path)

    write("old")
    found = table(tmp_path, f"{kind}:users")
    assert found.find(["old", "new"]) == {"old": "x"}
    write("new")
    change = refresh(found)
    assert (change.entries, change.problem) == (1, "")
    assert found.find(["old", "new"]) == {"new": "x"}
    path.unlink()
    assert "cannot be read" in refresh(found).problem
    assert found.find(["old", "new"]) == {"new": "x"}
    path.write_bytes(b"" if kind == "texthash" else b"broken" * 1000)
    assert refresh(found).problem
    assert found.find(["old", "new"]) == {"new": "x"}
    asyncio.run(found.stop())


def test_a_cdb_that_lost_all_entries_waits_before_it_is_used(tmp_path, monkeypatch):
    now = 100.0
    monkeypatch.setattr(ReloadableFile, "clock", staticmethod(lambda: now))
    write_cdb(tmp_path / "users", {b"kim": b"x"})
    found = table(tmp_path, "cdb:users")
    found.find(["kim"])
    write_cdb(tmp_path / "users", {})
    assert "found no entry, 1 before" in refresh(found).problem
    assert found.find(["kim"]) == {"kim": "x"}
    now += KEEP_PREVIOUS
    assert refresh(found).entries == 0
    assert found.find(["kim"]) == {}


def test_a_change_inside_an_lmdb_is_found_at_once(tmp_path):
    write_lmdb(tmp_path / "users", {b"old": b"x"})
    found = table(tmp_path, "lmdb:users")
    found.find(["old"])
    grow(tmp_path / "users")
    assert found.find(["new", "new99999"]) == {"new99999": "x" * 200}
    assert refresh(found).entries == 100_001
    refresh(found)
    assert refresh(found) is None
