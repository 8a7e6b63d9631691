"""A spool file has one owner, and a new owner when that one is gone."""

import pytest

from gatepost.queue.spool.corrupt import companions, mark_recovered, rename_damaged
from gatepost.queue.spool.folder import claim, files, orphans


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def touch(claimed):
    claimed.path.touch()
    return claimed


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


def test_the_first_file_is_created(folder):
    claimed = claim(folder)
    assert claimed.path == folder / "1.db"
    assert folder.stat().st_mode & 0o777 == 0o700
    claimed.release()


def test_two_owners_have_two_files(folder):
    first, second = touch(claim(folder)), touch(claim(folder))
    assert [first.number, second.number] == [1, 2]
    assert list(orphans(folder)) == []
    first.release()
    third = claim(folder)
    assert third.number == 1
    second.release()
    third.release()


def test_files_without_an_owner_are_found_in_order(folder):
    claimed = [touch(claim(folder)) for _ in range(11)]
    for one in claimed[1:]:
        one.release()
    adopted = list(orphans(folder))
    assert [one.number for one in adopted] == list(range(2, 12))
    for one in (claimed[0], *adopted):
        one.release()


def test_a_removed_file_leaves_nothing_behind(folder):
    claimed = touch(claim(folder))
    for path in companions(claimed.path):
        path.touch()
    claimed.remove()
    assert names(folder) == []


def test_a_lock_on_a_removed_file_does_not_count(folder, monkeypatch):
    import fcntl

    claimed = touch(claim(folder))
    real = fcntl.flock

    def remove_first(descriptor, how):
        monkeypatch.undo()
        claimed.remove()
        real(descriptor, how)

    monkeypatch.setattr("fcntl.flock", remove_first)
    assert list(orphans(folder)) == []


def test_other_file_names_are_ignored(folder):
    folder.mkdir()
    for name in ("x.db", "01.db", "1.db.damaged-2024", "1.lock", "0.db"):
        (folder / name).touch()
    assert files(folder) == list(orphans(folder)) == []
    assert files(folder / "missing") == []


def test_a_damaged_file_without_a_replacement_is_claimed(folder):
    claimed = touch(claim(folder))
    rename_damaged(claimed.path, "20240101T000000.000000")
    claimed.release()
    first = claim(folder)
    assert first.number == 1
    second = claim(folder)
    assert second.number == 2
    for one in (first, second):
        one.release()


def test_a_recovered_file_needs_no_owner(folder):
    claimed = touch(claim(folder))
    mark_recovered(rename_damaged(claimed.path, "20240101T000000.000000"), 0)
    claimed.remove()
    assert list(orphans(folder)) == []
