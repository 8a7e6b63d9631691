"""The names of files that were set aside say what has become of them, wherever that broke off."""

from pathlib import Path

import pytest

from gatepost.queue.spool.corrupt import (
    CorruptFiles,
    all_aside,
    beside,
    complete,
    finish,
    set_aside,
    unfinished,
)

EARLY, LATE = "20240101T000000.000000", "20240101T000000.000001"


@pytest.fixture
def path(tmp_path):
    """A spool file that says what it is, as do those beside it."""
    made = tmp_path / "1.db"
    write(made)
    return made


def write(path):
    for one in (path, *beside(path)):
        one.write_text(one.name)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_set_aside_with_what_belongs_to_it(path):
    place = set_aside(path, EARLY)
    assert place.name == f"1.db.salvage-{EARLY}"
    assert names(path.parent) == sorted(one.name for one in (place, *beside(place)))
    assert place.read_text() == "1.db"
    assert unfinished(path) == [place]
    assert unfinished(path.with_name("2.db")) == []


def test_one_that_is_done_with_says_what_could_not_be_read(path):
    place = finish(set_aside(path, EARLY), 3)
    assert place.name == f"1.db.damaged-{EARLY}.3-unreadable"
    assert names(path.parent) == sorted(one.name for one in (place, *beside(place)))
    assert all_aside(path.parent) == [CorruptFiles(place, path, True, 3)]
    assert unfinished(path) == []


def test_one_of_an_earlier_version_is_done_with(tmp_path):
    old = tmp_path / "1.db.damaged-20240101T000000.000000"
    old.touch()
    assert all_aside(tmp_path) == [CorruptFiles(old, tmp_path / "1.db", True, None)]


def test_the_oldest_comes_first(path):
    late = set_aside(path, LATE)
    write(path)
    early = set_aside(path, EARLY)
    assert unfinished(path) == [early, late]


def test_other_names_are_none(tmp_path):
    for name in (
        "1.db",
        "1.db-wal",
        f"1.db.salvage-{EARLY}-wal",
        "1.db.salvage-",
        "x.db.damaged-1",
    ):
        (tmp_path / name).touch()
    assert all_aside(tmp_path) == []
    assert all_aside(tmp_path / "missing") == []


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
            set_aside(path, LATE)
        monkeypatch.undo()
    else:
        set_aside(path, LATE)
    complete(path)
    if after == 0:
        assert names(path.parent) == sorted(one.name for one in (path, *beside(path)))
        return
    (place,) = unfinished(path)
    assert [one.read_text() for one in (place, *beside(place))] == [
        one.name for one in (path, *beside(path))
    ]


def test_a_new_file_keeps_what_is_beside_it(path):
    set_aside(path, EARLY)
    write(path)
    complete(path)
    assert beside(path)[0].exists()
