"""The names of damaged files have their state, even after an interrupted renaming."""

from pathlib import Path

import pytest

from gatepost.queue.spool.corrupt import (
    CorruptFile,
    companions,
    corrupt_files,
    finish_renaming,
    mark_recovered,
    rename_damaged,
    unrecovered,
)

EARLY, LATE = "20240101T000000.000000", "20240101T000000.000001"


@pytest.fixture
def path(tmp_path):
    """A spool file and its companions, each with its name as content."""
    made = tmp_path / "1.db"
    write(made)
    return made


def write(path):
    for one in (path, *companions(path)):
        one.write_text(one.name)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_damaged_file_is_renamed_with_its_companions(path):
    renamed = rename_damaged(path, EARLY)
    assert renamed.name == f"1.db.salvage-{EARLY}"
    assert names(path.parent) == sorted(one.name for one in (renamed, *companions(renamed)))
    assert renamed.read_text() == "1.db"
    assert unrecovered(path) == [renamed]
    assert unrecovered(path.with_name("2.db")) == []


def test_the_name_of_a_recovered_file_has_the_number_of_unreadable_messages(path):
    renamed = mark_recovered(rename_damaged(path, EARLY), 3)
    assert renamed.name == f"1.db.damaged-{EARLY}.3-unreadable"
    assert names(path.parent) == sorted(one.name for one in (renamed, *companions(renamed)))
    assert corrupt_files(path.parent) == [CorruptFile(renamed, path, True, 3)]
    assert unrecovered(path) == []


def test_a_damaged_file_of_an_earlier_version_is_not_recovered(tmp_path):
    old = tmp_path / "1.db.damaged-20240101T000000.000000"
    old.touch()
    assert corrupt_files(tmp_path) == [CorruptFile(old, tmp_path / "1.db", True, None)]


def test_the_oldest_comes_first(path):
    late = rename_damaged(path, LATE)
    write(path)
    early = rename_damaged(path, EARLY)
    assert unrecovered(path) == [early, late]


def test_other_names_are_ignored(tmp_path):
    for name in (
        "1.db",
        "1.db-wal",
        f"1.db.salvage-{EARLY}-wal",
        "1.db.salvage-",
        "x.db.damaged-1",
    ):
        (tmp_path / name).touch()
    assert corrupt_files(tmp_path) == []
    assert corrupt_files(tmp_path / "missing") == []


@pytest.mark.parametrize("after", range(6))
def test_an_interrupted_renaming_is_finished(path, monkeypatch, after):
    rename, count = Path.rename, iter(range(after))

    def interrupted(old, new):
        if next(count, None) is None:
            raise KeyboardInterrupt
        return rename(old, new)

    if after < 5:
        monkeypatch.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            rename_damaged(path, LATE)
        monkeypatch.undo()
    else:
        rename_damaged(path, LATE)
    finish_renaming(path)
    if after == 0:
        assert names(path.parent) == sorted(one.name for one in (path, *companions(path)))
        return
    (renamed,) = unrecovered(path)
    assert [one.read_text() for one in (renamed, *companions(renamed))] == [
        one.name for one in (path, *companions(path))
    ]


def test_a_new_file_keeps_its_companions(path):
    rename_damaged(path, EARLY)
    write(path)
    finish_renaming(path)
    assert companions(path)[0].exists()
