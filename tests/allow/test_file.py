"""The file of entries: changes, ended entries, bad lines, several workers."""

import os

import pytest

from gatepost.allow import file as allow_file
from gatepost.allow.entry import DAY, Entry
from gatepost.allow.file import AllowError, AllowFile, put, read_entries, remove
from gatepost.lists.reloadable import ListError

NOW = 1_800_000_000.0


def entry(what="192.0.2.0/24", until=NOW + DAY, **fields):
    return Entry(what, until, **{"at": NOW, "by": "alice", "note": "ticket 12", **fields})


def names(folder, now=NOW):
    return [one.what for one in read_entries(folder, now)]


@pytest.fixture
def watched(tmp_path):
    """A file as a worker has it; `changes` are those it has recorded."""
    file, changes = AllowFile(tmp_path), []
    file.time, file.report = (lambda: NOW), changes.append
    file.load()
    return file, changes


def test_without_the_file_nothing_is_allowed(tmp_path, watched):
    file, _ = watched
    assert not names(tmp_path)
    assert file.refresh() is None
    assert len(file.current) == 0
    assert remove(tmp_path, "192.0.2.0/24", by="bob", now=NOW, pending=True) is None
    assert not (tmp_path / "allowed").exists()


def test_an_entry_is_added_replaced_and_removed(tmp_path):
    assert put(tmp_path, entry(), pending=True) is None
    assert put(tmp_path, entry(note="ticket 13"), pending=True) == entry()
    assert [one.note for one in read_entries(tmp_path, NOW)] == ["ticket 13"]
    removed = remove(tmp_path, "192.0.2.0/24", by="bob", now=NOW, pending=True)
    assert removed is not None
    assert not names(tmp_path)
    assert remove(tmp_path, "192.0.2.0/24", by="bob", now=NOW, pending=True) is None
    assert (tmp_path / "allowed").stat().st_mode & 0o007 == 0


def test_a_worker_records_each_change_once_and_uses_the_entry(tmp_path, watched):
    file, changes = watched
    other = AllowFile(tmp_path)
    other.time, other.report = file.time, changes.append
    put(tmp_path, entry(), pending=True)
    for one in (file, other, file, other):
        one.refresh()
    assert [(one.kind, one.entry.what, one.by) for one in changes] == [
        ("added", "192.0.2.0/24", "alice")
    ]
    assert "192.0.2.0/24" in file.current.entries
    assert "192.0.2.0/24" in other.current.entries


def test_the_last_entry_can_be_removed(tmp_path, watched):
    """An empty list takes effect at once, although lists that lose all entries usually wait."""
    file, changes = watched
    put(tmp_path, entry(), pending=False)
    file.refresh()
    remove(tmp_path, "192.0.2.0/24", by="bob", now=NOW + 1, pending=True)
    file.refresh()
    assert len(file.current) == 0
    assert not file.problem
    assert [(one.kind, one.by, one.at) for one in changes] == [("removed", "bob", NOW + 1)]


def test_a_change_without_a_record_of_its_own_is_not_recorded(tmp_path, watched):
    file, changes = watched
    put(tmp_path, entry(), pending=False)
    remove(tmp_path, "192.0.2.0/24", by="bob", now=NOW, pending=False)
    file.refresh()
    assert not changes


def test_an_entry_is_removed_at_its_end_and_that_is_recorded(tmp_path, watched):
    file, changes = watched
    put(tmp_path, entry(), pending=False)
    put(tmp_path, entry("example.org", NOW + 2 * DAY), pending=False)
    file.time = lambda: NOW + DAY - 0.001
    file.refresh()
    assert not changes
    file.time = lambda: NOW + DAY
    file.refresh()
    assert [(one.kind, one.entry.what, one.by) for one in changes] == [
        ("expired", "192.0.2.0/24", "gatepost")
    ]
    assert list(file.current.entries) == ["example.org"]
    assert b"192.0.2.0" not in (tmp_path / "allowed").read_bytes()


def test_a_command_keeps_ended_entries_for_the_record_of_the_server(tmp_path, watched):
    file, changes = watched
    put(tmp_path, entry(), pending=False)
    put(tmp_path, entry("example.org", NOW + 3 * DAY, at=NOW + 2 * DAY), pending=False)
    assert names(tmp_path, NOW + 2 * DAY) == ["example.org"]
    file.time = lambda: NOW + 2 * DAY
    file.refresh()
    assert [one.kind for one in changes] == ["expired"]


def test_an_ended_entry_is_replaced(tmp_path):
    put(tmp_path, entry(), pending=False)
    put(tmp_path, entry(until=NOW + 9 * DAY, at=NOW + 2 * DAY), pending=False)
    assert [one.until for one in read_entries(tmp_path, NOW)] == [NOW + 9 * DAY]


def test_without_a_record_a_reader_changes_nothing(tmp_path):
    put(tmp_path, entry(), pending=True)
    before = (tmp_path / "allowed").read_bytes()
    file = AllowFile(tmp_path)
    file.load()
    file.refresh()
    assert (tmp_path / "allowed").read_bytes() == before
    assert len(file.current) == 1


BAD_LINES = [
    b"192.0.2.0/24",
    b'{"line":"entry","what":"192.0.2.0/24"}',
    b'{"line":"entry","what":"192.0.2.7/24","until":1,"at":0,"by":"a","note":"b"}',
    b'{"line":"entry","what":"EXAMPLE.com","until":1,"at":0,"by":"a","note":"b"}',
    b'{"line":"entry","what":"example.com","until":"never","at":0,"by":"a","note":"b"}',
    b'{"line":"other"}',
    b"\xff\xfe{",
    b"[]",
]


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_line_is_reported_and_other_entries_count(tmp_path, line):
    put(tmp_path, entry(), pending=False)
    with (tmp_path / "allowed").open("ab") as out:
        out.write(line + b"\n")
    file = AllowFile(tmp_path)
    file.load()
    assert list(file.current.entries) == ["192.0.2.0/24"]
    assert f"{tmp_path}/allowed:2: expected" in str(file.current.errors[0])


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_file_with_a_bad_line_is_not_changed(tmp_path, line):
    (tmp_path / "allowed").write_bytes(line + b"\n")
    with pytest.raises(AllowError, match=r"allowed:1: expected"):
        put(tmp_path, entry(), pending=False)
    with pytest.raises(AllowError, match=r"allowed:1: expected"):
        read_entries(tmp_path, NOW)
    assert (tmp_path / "allowed").read_bytes() == line + b"\n"


def test_a_worker_keeps_its_entries_if_the_file_cannot_be_settled(tmp_path, watched):
    file, changes = watched
    put(tmp_path, entry(), pending=True)
    with (tmp_path / "allowed").open("ab") as out:
        out.write(b"damaged\n")
    change = file.refresh()
    assert change is not None
    assert "allowed:3: expected an entry" in change.problem
    assert list(file.current.entries) == ["192.0.2.0/24"]
    assert not changes


def test_a_folder_in_the_place_of_the_file_is_an_error(tmp_path):
    (tmp_path / "allowed").mkdir()
    with pytest.raises(ListError, match="cannot be read"):
        AllowFile(tmp_path).load()
    with pytest.raises(AllowError, match="cannot be read"):
        read_entries(tmp_path, NOW)


def test_a_missing_file_keeps_the_entries_that_were_in_force(tmp_path, watched):
    file, _ = watched
    put(tmp_path, entry(), pending=False)
    file.refresh()
    (tmp_path / "allowed").unlink()
    change = file.refresh()
    assert change is not None
    assert "cannot be read" in change.problem
    assert len(file.current) == 1


def test_the_number_of_entries_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(allow_file, "MOST", 1)
    put(tmp_path, entry(), pending=False)
    put(tmp_path, entry(note="again"), pending=False)
    with pytest.raises(AllowError, match="1 entries"):
        put(tmp_path, entry("example.org"), pending=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_file_of_root_belongs_to_the_owner_of_the_folder(tmp_path):
    os.chown(tmp_path, 65534, 65534)
    put(tmp_path, entry(), pending=False)
    remove(tmp_path, "192.0.2.0/24", by="bob", now=NOW, pending=False)
    assert (tmp_path / "allowed").stat().st_uid == 65534
