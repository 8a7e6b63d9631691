"""The names of files that were set aside say what has become of them, wherever that broke off."""

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
    """A spool file that says what it is, as do those beside it."""
    made = tmp_path / "1.db"
    write(made)
    return made


def write(path):
    for one in (path, *companions(path)):
        one.write_text(one.name)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_set_aside_with_what_belongs_to_it(path):
    place = rename_damaged(path, EARLY)
    assert place.name == f"1.db.salvage-{EARLY}"
    assert names(path.parent) == sorted(one.name for one in (place, *companions(place)))
    assert place.read_text() == "1.db"
    assert unrecovered(path) == [place]
    assert unrecovered(path.with_name("2.db")) == []


def test_one_that_is_done_with_says_what_could_not_be_read(path):
    place = mark_recovered(rename_damaged(path, EARLY), 3)
    assert place.name == f"1.db.damaged-{EARLY}.3-unreadable"
    assert names(path.parent) == sorted(one.name for one in (place, *companions(place)))
    assert corrupt_files(path.parent) == [CorruptFile(place, path, True, 3)]
    assert unrecovered(path) == []


def test_one_of_an_earlier_version_is_done_with(tmp_path):
    old = tmp_path / "1.db.damaged-20240101T000000.000000"
    old.touch()
    assert corrupt_files(tmp_path) == [CorruptFile(old, tmp_path / "1.db", True, None)]


def test_the_oldest_comes_first(path):
    late = rename_damaged(path, LATE)
    write(path)
    early = rename_damaged(path, EARLY)
    assert unrecovered(path) == [early, late]


def test_other_names_are_none(tmp_path):
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
def test_setting_aside_goes_on_where_it_was_interrupted(path, monkeypatch, after):
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
    (place,) = unrecovered(path)
    assert [one.read_text() for one in (place, *companions(place))] == [
        one.name for one in (path, *companions(path))
    ]


def test_a_new_file_keeps_what_is_beside_it(path):
    rename_damaged(path, EARLY)
    write(path)
    finish_renaming(path)
    assert companions(path)[0].exists()
