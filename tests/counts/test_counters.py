"""Counters of several workers: never too low, no more than is due to chance too high."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gatepost.counts.counters import Gauge, WindowCounter
from gatepost.counts.memory import CounterMemory, CounterTable, Slot
from gatepost.counts.sketch import BUCKETS, ROWS, SEED_SIZE, locate

SEED = bytes(SEED_SIZE)
# Few buckets, so that keys do fall together.
CROWDED = st.tuples(st.integers(0, 3), st.integers(BUCKETS, BUCKETS + 3))


class Machine:
    """Some workers of one board."""

    def __init__(self, workers):
        self.board = CounterMemory()
        self.numbers = [self.board.claim() for _ in range(workers)]
        self.seats = [Slot.attach(self.board.file, number) for number in self.numbers]

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.board.close()


@given(st.lists(st.tuples(st.integers(0, 2), CROWDED, st.booleans())))
def test_a_gauge_is_never_too_low(steps):
    true = Counter()
    with Machine(3) as machine:
        gauges = [Gauge(slot, CounterTable.CONNECTIONS) for slot in machine.seats]
        for worker, where, more in steps:
            if more:
                true[worker, where] += 1
                said = gauges[worker].add(where)
            elif true[worker, where]:
                true[worker, where] -= 1
                gauges[worker].remove(where)
                said = gauges[worker].count(where)
            else:
                continue
            assert said >= sum(true[one, where] for one in range(3))
        for (_, where), _count in true.items():
            assert len({gauge.count(where) for gauge in gauges}) == 1
        for (worker, where), count in true.items():
            for _ in range(count):
                gauges[worker].remove(where)
        for slot in machine.seats:
            assert not any(slot.own.tables[CounterTable.CONNECTIONS])


@given(st.lists(st.tuples(st.integers(0, 2), CROWDED, st.integers(0, 40))))
def test_events_of_a_window_are_never_too_few(steps):
    true, now = Counter(), 1000.0
    with Machine(3) as machine:
        events = [WindowCounter(slot, CounterTable.NEW_CONNECTIONS, 60) for slot in machine.seats]
        for worker, where, seconds in steps:
            now += seconds
            true[int(now) // 60, where] += 1
            assert events[worker].add(where, now) >= true[int(now) // 60, where]


def test_a_window_that_is_over_counts_no_more():
    slot = Slot.standalone()
    events, where = WindowCounter(slot, CounterTable.NEW_CONNECTIONS, 60), (1, BUCKETS)
    assert [events.add(where, 119.0) for _ in range(3)] == [1, 2, 3]
    assert events.count(where, 119.9) == 3
    assert events.count(where, 120.0) == 0
    assert events.add(where, 120.0) == 1


def test_a_worker_whose_clock_is_behind_still_sees_what_another_counts():
    with Machine(2) as machine:
        ahead, behind = (
            WindowCounter(slot, CounterTable.NEW_CONNECTIONS, 60) for slot in machine.seats
        )
        ahead.add((1, BUCKETS), 120.0)
        assert behind.count((1, BUCKETS), 119.5) == 1


def test_chance_hardly_ever_adds_anything():
    """Ten thousand connections of as many clients: as good as all are counted exactly."""
    gauge = Gauge(Slot.standalone(), CounterTable.CONNECTIONS)
    places = [locate(number.to_bytes(4, "big"), SEED) for number in range(10_000)]
    for where in places:
        gauge.add(where)
    wrong = sum(gauge.count(where) > 1 for where in places)
    assert wrong < 0.25 * len(places)
    assert max(map(gauge.count, places)) <= 5


@given(st.binary(min_size=3, max_size=16), st.binary(min_size=SEED_SIZE, max_size=SEED_SIZE))
def test_a_place_is_one_bucket_in_each_row(key, seed):
    found = locate(key, seed)
    assert [bucket // BUCKETS for bucket in found] == list(range(ROWS))
    assert locate(key, seed) == found


def test_another_seed_is_another_place():
    assert locate(b"key", SEED) != locate(b"key", b"x" * SEED_SIZE)
