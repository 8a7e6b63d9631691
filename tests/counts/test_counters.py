"""Counters of several workers: never too low, and rarely too high."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gatepost.counts.counters import Gauge, WindowCounter
from gatepost.counts.memory import CounterMemory, CounterTable, Slot
from gatepost.counts.sketch import BUCKETS, ROWS, SEED_SIZE, locate

SEED = bytes(SEED_SIZE)
# Few buckets, so that keys collide.
COLLIDING = st.tuples(st.integers(0, 3), st.integers(BUCKETS, BUCKETS + 3))


class Machine:
    """Several workers with shared counters."""

    def __init__(self, workers):
        self.memory = CounterMemory()
        self.numbers = [self.memory.claim() for _ in range(workers)]
        self.slots = [Slot.attach(self.memory.file, number) for number in self.numbers]

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.memory.close()


@given(st.lists(st.tuples(st.integers(0, 2), COLLIDING, st.booleans())))
def test_a_gauge_is_never_too_low(steps):
    true = Counter()
    with Machine(3) as machine:
        gauges = [Gauge(slot, CounterTable.CONNECTIONS) for slot in machine.slots]
        for worker, cell, more in steps:
            if more:
                true[worker, cell] += 1
                total = gauges[worker].add(cell)
            elif true[worker, cell]:
                true[worker, cell] -= 1
                gauges[worker].remove(cell)
                total = gauges[worker].count(cell)
            else:
                continue
            assert total >= sum(true[one, cell] for one in range(3))
        for (_, cell), _count in true.items():
            assert len({gauge.count(cell) for gauge in gauges}) == 1
        for (worker, cell), count in true.items():
            for _ in range(count):
                gauges[worker].remove(cell)
        for slot in machine.slots:
            assert not any(slot.own.tables[CounterTable.CONNECTIONS])


@given(st.lists(st.tuples(st.integers(0, 2), COLLIDING, st.integers(0, 40))))
def test_a_window_counter_is_never_too_low(steps):
    true, now = Counter(), 1000.0
    with Machine(3) as machine:
        events = [WindowCounter(slot, CounterTable.NEW_CONNECTIONS, 60) for slot in machine.slots]
        for worker, cell, seconds in steps:
            now += seconds
            true[int(now) // 60, cell] += 1
            assert events[worker].add(cell, now) >= true[int(now) // 60, cell]


def test_events_of_an_earlier_window_do_not_count():
    slot = Slot.standalone()
    events, cell = WindowCounter(slot, CounterTable.NEW_CONNECTIONS, 60), (1, BUCKETS)
    assert [events.add(cell, 119.0) for _ in range(3)] == [1, 2, 3]
    assert events.count(cell, 119.9) == 3
    assert events.count(cell, 120.0) == 0
    assert events.add(cell, 120.0) == 1


def test_events_of_a_worker_in_the_next_window_count():
    with Machine(2) as machine:
        ahead, behind = (
            WindowCounter(slot, CounterTable.NEW_CONNECTIONS, 60) for slot in machine.slots
        )
        ahead.add((1, BUCKETS), 120.0)
        assert behind.count((1, BUCKETS), 119.5) == 1


def test_collisions_of_ten_thousand_keys_add_little():
    gauge = Gauge(Slot.standalone(), CounterTable.CONNECTIONS)
    cells = [locate(number.to_bytes(4, "big"), SEED) for number in range(10_000)]
    for cell in cells:
        gauge.add(cell)
    wrong = sum(gauge.count(cell) > 1 for cell in cells)
    assert wrong < 0.25 * len(cells)
    assert max(map(gauge.count, cells)) <= 5


@given(st.binary(min_size=3, max_size=16), st.binary(min_size=SEED_SIZE, max_size=SEED_SIZE))
def test_a_key_has_one_bucket_in_each_row(key, seed):
    found = locate(key, seed)
    assert [bucket // BUCKETS for bucket in found] == list(range(ROWS))
    assert locate(key, seed) == found


def test_the_seed_changes_the_cells():
    assert locate(b"key", SEED) != locate(b"key", b"x" * SEED_SIZE)
