"""The amount of mail in spool files."""

from tests.queue.spool.samples import NOW, new_message, put, recipient

from gatepost.metrics.status import DestinationStatus
from gatepost.queue.spool import admin, depth
from gatepost.queue.spool.admin import Selection
from gatepost.queue.spool.depth import depth_of_files


def test_recipients_are_counted_by_destination_and_state(store):
    put(
        store,
        new_message(
            recipient("a@example.com", "one"),
            recipient("b@example.com", "one", due=NOW + 100),
            recipient("c@example.com", "two", due=None),
        ),
        new_message(recipient("d@example.com", "two")),
    )
    found = depth_of_files([store.path], NOW)
    assert sorted(found.destinations, key=lambda one: one.destination) == [
        DestinationStatus("one", 1, 1, 0),
        DestinationStatus("two", 1, 0, 1),
    ]
    assert [found.total(state) for state in ("active", "deferred", "held")] == [2, 1, 1]
    assert found.oldest == NOW
    assert admin.depth(store.path.parent, NOW) == found


def test_held_mail_does_not_make_the_queue_old(store):
    put(store, new_message(recipient(due=None)))
    assert depth_of_files([store.path], NOW).oldest == 0.0


def test_an_empty_or_missing_spool_has_no_mail(store, tmp_path):
    assert depth_of_files([store.path], NOW).destinations == []
    assert admin.depth(tmp_path / "none", NOW).destinations == []


def test_small_destinations_are_added_up(store, monkeypatch):
    monkeypatch.setattr(depth, "MOST_DESTINATIONS", 2)
    names = ["big"] * 3 + ["middle"] * 2 + ["x", "y"]
    put(store, new_message(*[recipient(f"u{at}@x.example", one) for at, one in enumerate(names)]))
    found = {one.destination: one.active for one in depth_of_files([store.path], NOW).destinations}
    assert found == {"big": 3, "middle": 2, "other": 2}
    assert sum(1 for _ in admin.entries(store.path.parent, Selection(), 100)) == 7
