"""Indexed lists: equivalent to lists in memory after any edits."""

import os
import subprocess
import sys
from itertools import count
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.lists.addresses import MAX_ERRORS, AddressList
from gatepost.lists.entry import MAX_LINE, EntryKind
from gatepost.lists.file import ListFile, parse_addresses
from gatepost.lists.indexing.build import build, main
from gatepost.lists.indexing.index import TEXT_START, Index, IndexFileError
from gatepost.lists.indexing.indexed import IndexedList
from gatepost.lists.patterns import MAX_PATTERNS
from gatepost.lists.reloadable import KEEP_PREVIOUS, ListError
from gatepost.lists.text import BLOCK

LINES = [
    b"\xef\xbb\xbffirst@example.com with a byte order mark\r\n",
    b"# comment\n",
    b"trap@example.com note\n",
    b"@example.net\n",
    b"/^any-[0-9]+@/ pattern\n",
    b"oops\n",
    b'"Post\\master"@example.com\n',
    b"x" * (MAX_LINE + 100) + b"\n",
    b"\n",
    b"abuse@example.org\n",
    b"abuse\xff@example.org\n",
    b"trap@example.com twice\n",
    b"last@example.com",
]


def make(folder, content):
    path = folder / "traps"
    path.write_bytes(content)
    build(path, folder / "traps.index")
    return Index(folder / "traps.index")


def in_memory(path):
    with path.open("rb") as file:
        return parse_addresses(file, str(path))


def facts(entries):
    return [(entry.kind, entry.key, entry.note, entry.line) for entry in entries]


def errors_of(one):
    return [(error.line, error.expected) for error in one.errors], one.bad_lines


def assert_same(indexed, memory):
    assert facts(indexed) == facts(memory)
    assert len(indexed) == len(memory)
    assert errors_of(indexed) == errors_of(memory)
    for entry in memory:
        if entry.kind is EntryKind.PATTERN:
            continue
        found = indexed.find(entry.key, entry.key)
        assert (found.kind, found.key) == (entry.kind, entry.key)
        assert any(found.line == other.line and found.note == other.note for other in memory)
    for key in ("any-1@x.example", "x@example.net", "unknown@example.com", "@"):
        expected = memory.find(key, key)
        found = indexed.find(key, key)
        assert (found and found.key) == (expected and expected.key)
    roles = frozenset({"postmaster", "abuse"})
    assert facts(indexed.with_local_part(roles)) == facts(memory.with_local_part(roles))


def test_an_indexed_list_equals_the_list_in_memory(tmp_path):
    index = make(tmp_path, b"".join(LINES))
    assert_same(IndexedList(index, [], "traps"), in_memory(tmp_path / "traps"))


def test_an_indexed_entry_has_its_note_and_line(tmp_path):
    traps = IndexedList(make(tmp_path, b"".join(LINES)), [], "traps")
    entry = traps.find("trap+x@example.com", "trap@example.com")
    assert (entry.kind, entry.note, entry.source, entry.line) == (
        EntryKind.ADDRESS,
        "twice",
        "traps",
        12,
    )
    assert traps.exact("@example.net").line == 4
    assert traps.find("unknown+x@example.com", "unknown@example.com") is None
    assert traps.current is traps


def test_line_numbers_in_a_long_text_are_exact(tmp_path):
    lines = [b"%s%d@example.com\n" % (b"x" * (number % 50), number) for number in range(5000)]
    lines[100] = b"#" * 3000 + b"\n"
    lines[200] = b"noted@example.com " + b"n" * 2000 + b"\n"
    traps = IndexedList(make(tmp_path, b"".join(lines)), [], "traps")
    assert [entry.line for entry in traps] == [n for n in range(1, 5001) if n != 101]
    for entry in in_memory(tmp_path / "traps"):
        assert traps.find(entry.key, entry.key).line == entry.line
    assert traps.exact("noted@example.com").note == "n" * 2000


def test_entries_after_a_line_longer_than_a_block_are_found(tmp_path):
    content = b"abuse@a.example\n" + b"\\" * (2 * BLOCK) + b"abuse@b.example\nabuse@c.example\n"
    index = make(tmp_path, content)
    assert_same(IndexedList(index, [], "traps"), in_memory(tmp_path / "traps"))


def test_patterns_and_errors_beyond_the_limits_are_dropped(tmp_path):
    lines = [b"/^%d@/\n" % number for number in range(MAX_PATTERNS + 20)]
    index = make(tmp_path, b"".join(lines) + b"oops\n" * (MAX_ERRORS + 20))
    traps = IndexedList(index, [], "traps")
    assert len(traps) == MAX_PATTERNS
    assert len(traps.errors) == MAX_ERRORS
    assert traps.bad_lines >= MAX_ERRORS + 20


def test_an_index_is_built_again_only_after_a_change(tmp_path):
    path = tmp_path / "traps"
    path.write_bytes(b"a@example.com\n")
    os.utime(path, (1, 1))
    build(path, tmp_path / "traps.index")
    before = (tmp_path / "traps.index").stat().st_ino
    kept = Index(tmp_path / "traps.index")
    build(path, tmp_path / "traps.index")
    assert (tmp_path / "traps.index").stat().st_ino == before
    os.utime(path, (2, 2))
    build(path, tmp_path / "traps.index")
    assert (tmp_path / "traps.index").stat().st_ino != before
    assert kept.text.read(0, 100) == b"a@example.com\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["traps", "traps.index", "traps.lock"]


def test_a_list_too_big_for_an_index_is_refused(tmp_path):
    with (tmp_path / "traps").open("wb") as file:
        file.truncate(2**32)
    with pytest.raises(
        ListError, match=r"traps: expected less than 4 GiB, found 4294967296 octets$"
    ):
        build(tmp_path / "traps", tmp_path / "traps.index")
    assert not (tmp_path / "traps.index").exists()


def test_the_command_builds_an_index_or_reports_an_error(tmp_path, capsys):
    (tmp_path / "traps").write_bytes(b"a@example.com\n")
    assert main([str(tmp_path / "traps"), str(tmp_path / "new" / "traps.index")]) == 0
    assert Index(tmp_path / "new" / "traps.index").header.words == 1
    assert main([str(tmp_path / "none"), str(tmp_path / "none.index")]) == 1
    missing = tmp_path / "none"
    assert capsys.readouterr().err == f"{missing}: cannot be read: No such file or directory\n"


def test_the_command_runs_as_a_process(tmp_path):
    module = [sys.executable, "-P", "-m", "gatepost.lists.indexing.build"]
    target = str(tmp_path / "x.index")
    done = subprocess.run(
        [*module, str(tmp_path), target], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path}: cannot be read: Is a directory\n"


def damaged(content):
    yield b""
    yield content[:100]
    yield b"GPINDEX0" + content[8:]
    yield content[:20] + bytes([content[20] ^ 1]) + content[21:]
    yield content[:-1]
    yield content + b"\0"
    yield content[: TEXT_START + 1]


def test_a_damaged_index_is_refused_and_built_again(tmp_path):
    path, cache = tmp_path / "traps", tmp_path / "cache"
    path.write_bytes(b"trap@example.com\n")
    ListFile(path, cache, index_above=0).load()
    (index,) = cache.glob("*.index")
    for content in damaged(index.read_bytes()):
        index.write_bytes(content)
        with pytest.raises(IndexFileError):
            Index(index)
    file = ListFile(path, cache, index_above=0)
    file.load()
    assert file.current.exact("trap@example.com").line == 1


def test_an_index_of_another_byte_order_is_refused(tmp_path, monkeypatch):
    make(tmp_path, b"a@example.com\n")
    monkeypatch.setattr("gatepost.lists.indexing.index._BYTE_ORDER", 0x0807060504030201)
    with pytest.raises(IndexFileError, match=r"^made on a machine with another byte order$"):
        Index(tmp_path / "traps.index")


_LINES = st.one_of(
    st.builds(
        lambda user, domain, end: f"{user}@{domain}{end}".encode(),
        st.sampled_from(["a", "B", "abuse", '"c d"', "Postmaster", "x+y", ""]),
        st.sampled_from(["example.com", "Example.NET", "bücher.example", ""]),
        st.sampled_from(["", " note", "\r", " \t"]),
    ),
    st.sampled_from(
        [b"/^a@/", b"/(/", b"# no", b"", b"\xff", b"oops", b"\xef\xbb\xbfz@example.com"]
    ),
)
_CONTENTS = st.builds(
    lambda lines, end: b"\n".join(lines) + end,
    st.lists(_LINES, max_size=25),
    st.sampled_from([b"", b"\n"]),
).filter(bool)
_EDITS = st.lists(st.tuples(st.integers(0, 25), st.integers(0, 4), st.lists(_LINES, max_size=3)))


@settings(deadline=None)
@given(_CONTENTS, _EDITS)
def test_random_edits_keep_index_and_memory_equal(tmp_path_factory, content, edits):
    folder = tmp_path_factory.mktemp("list")
    path, cache = folder / "traps", folder / "cache"
    path.write_bytes(content)
    file = ListFile(path, cache, index_above=-1)
    file.clock = count(0, KEEP_PREVIOUS).__next__
    build(path, file._builder.target)
    file.load()
    assert_same(file.current, in_memory(path))
    for at, removed, lines in edits:
        now = path.read_bytes().split(b"\n")
        now[at : at + removed] = lines
        path.write_bytes(b"\n".join(now) or b"\n")
        before, expected = file.current, in_memory(path)
        file.refresh()
        if expected.bad_lines and not len(expected) and len(before):
            assert file.current is before
        else:
            assert_same(file.current, expected)
    file.close()


def test_an_indexed_list_is_an_address_list(tmp_path):
    assert isinstance(IndexedList(make(tmp_path, b"a@b.example\n"), [], "t"), AddressList)


def test_the_file_is_closed_if_mapping_fails(tmp_path, monkeypatch):
    make(tmp_path, b"a@example.com\n")

    def refuse(*_, **__):
        raise OSError("no memory")

    monkeypatch.setattr("gatepost.lists.indexing.index.mmap", refuse)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match=r"^no memory$"):
        Index(tmp_path / "traps.index")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_keys_with_the_same_hash_are_distinguished(tmp_path):
    assert crc32(b"plumless@example.com") == crc32(b"buckeroo@example.com")
    index = make(tmp_path, b"plumless@example.com\n")
    traps = IndexedList(index, [], "t")
    assert traps.exact("buckeroo@example.com") is None
    both = IndexedList(make(tmp_path, b"plumless@example.com\nbuckeroo@example.com\n"), [], "t")
    assert both.exact("buckeroo@example.com").line == 2
    assert both.exact("plumless@example.com").line == 1
