"""A damaged file gives way to a new one; where that cannot be, it is used as it is again."""

import pytest
from tests.queue.spool.samples import HORIZON, NOW, SIZE, Claims, always_open, new_message

from gatepost.queue.spool.corrupt import all_aside, unfinished
from gatepost.queue.spool.opening import Opener
from gatepost.queue.spool.salvage import salvage


@pytest.fixture
def seen():
    return []


@pytest.fixture
def opener(seen):
    return Opener(seen.append, size=SIZE, horizon=HORIZON, opens=always_open)


def put(store, **options):
    store.begin()
    number = store.put(new_message(**options))
    store.commit()
    return number


def taken(store):
    store.begin()
    works = store.take(NOW, 10, Claims()).works
    store.commit()
    return [work.message for work in works]


def test_a_damaged_file_gives_way_to_a_new_one(tmp_path, opener, seen):
    old = opener.open(tmp_path / "1.db")
    put(old)
    new = opener.replace(old)
    assert taken(new) == []
    assert seen == [new.path]
    (place,) = unfinished(new.path)
    assert [one.message for one in salvage(place)] == [1]
    new.close()


def test_one_that_cannot_be_set_aside_is_opened_again(tmp_path, opener, seen):
    store = opener.open(tmp_path / ("1" * 240 + ".db"))  # no longer name can be
    number = put(store)
    with pytest.raises(OSError, match="name too long"):
        opener.replace(store)
    store.roll_back()
    assert taken(store) == [number]
    assert put(store) == number + 1
    assert seen == []
    store.close()


def test_one_for_which_no_other_can_be_made_is_put_back(make_disk, opener, seen):
    own = make_disk(16)
    folder = own.root / "spool"
    folder.mkdir()
    store = opener.open(folder / "1.db")
    number = put(store)
    with own.full(), pytest.raises(Exception, match=r"full|No space"):
        opener.replace(store)
    assert taken(store) == [number]
    assert seen == []
    assert all_aside(folder) == []
    store.close()


def test_after_a_disk_that_failed_the_same_file_is_used(make_disk, opener, seen):
    own = make_disk(16)
    store = opener.open(own.root / "1.db")
    number = put(store)
    own.cut()
    with pytest.raises(OSError, match="Input/output"):
        opener.replace(store)
    own.restore()
    assert taken(store) == [number]
    assert seen == []
    store.close()


def test_a_file_that_is_gone_is_not_taken_for_a_new_one(tmp_path, opener):
    store = opener.open(tmp_path / ("1" * 240 + ".db"))
    with pytest.raises(OSError, match="name too long"):
        opener.replace(store)
    store.path.unlink()
    with pytest.raises(FileNotFoundError):
        store.begin()
    store.roll_back()
