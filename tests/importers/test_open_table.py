from gatepost.importers.open_table import OpenTable


def table(most=10, idle=5.0):
    ended = []
    return OpenTable(lambda time, value: ended.append((time, value)), idle, most), ended


def test_an_entry_that_is_used_stays_open():
    found, ended = table()
    found.start("a", 0, "A")
    found.start("b", 1, "B")
    assert found.get("a", 4) == "A"
    found.expire(7)
    assert ended == [(1, "B")]
    assert found.peek("a") == "A"


def test_looking_at_an_entry_does_not_keep_it_open():
    found, ended = table()
    found.start("a", 0, "A")
    assert found.peek("a") == "A"
    found.expire(6)
    assert (ended, found.peek("a"), found.get("a", 6)) == ([(0, "A")], None, None)


def test_the_entry_that_is_idle_for_the_longest_is_dropped():
    found, ended = table(most=2)
    for time, key in enumerate("ab"):
        found.start(key, time, key.upper())
    found.get("a", 2)
    found.start("c", 3, "C")
    assert (found.peek("a"), found.peek("b"), found.dropped, ended) == ("A", None, 1, [])


def test_an_entry_with_the_same_key_ends_the_earlier_one():
    found, ended = table()
    found.start("a", 0, "A")
    found.start("a", 3, "B")
    assert (ended, found.peek("a")) == ([(3, "A")], "B")


def test_an_entry_that_is_removed_does_not_end_by_itself():
    found, ended = table()
    found.start("a", 0, "A")
    assert (found.end("a"), found.end("a")) == ("A", None)
    found.finish()
    assert ended == []


def test_the_end_of_the_log_ends_everything():
    found, ended = table()
    found.start("a", 0, "A")
    found.start("b", 1, "B")
    found.finish()
    assert ended == [(0, "A"), (1, "B")]
