"""A store that fails: operations fail at once, limits count locally, the log has two lines."""

import pytest
from structlog.testing import capture_logs
from tests.store.stores import NOW, Sync, call

from gatepost.store.breaker import Breaker
from gatepost.store.errors import KeyTypeError, StoreError
from gatepost.store.guarded import FAILURES, PAUSE, GuardedBackend
from gatepost.store.memory import MemoryBackend
from gatepost.store.operations import read_only
from gatepost.store.store import Store


class Failing(MemoryBackend):
    """A store in memory that fails while `is_down`, or writes that fail while `is_read_only`."""

    def __init__(self):
        super().__init__(clock=lambda: NOW)
        self.is_down = self.is_read_only = False
        self.attempts = 0

    async def execute(self, namespace, operations):
        self.attempts += 1
        if self.is_down:
            raise StoreError("down")
        if self.is_read_only and not read_only(operations):
            raise StoreError("read-only")
        return await super().execute(namespace, operations)


class Guarded:
    """A guarded store with the clock of its breaker."""

    def __init__(self, runner):
        self.monotonic = 100.0
        self.backend = Failing()
        self.guarded = GuardedBackend(
            self.backend, name="test", clock=lambda: NOW, monotonic=lambda: self.monotonic
        )
        self.store = Sync(runner, Store(self.guarded, "guarded"))


@pytest.fixture
def made(runner):
    return Guarded(runner)


def fail(made, times=FAILURES):
    made.backend.is_down = True
    for _ in range(times):
        with pytest.raises(StoreError):
            made.store.get("k")


def test_values_raise_the_error_of_the_store(made):
    made.backend.is_down = True
    for use in (
        lambda: made.store.get("k"),
        lambda: made.store.set("k", 1),
        lambda: made.store.add("k"),
        lambda: made.store.delete("k"),
    ):
        with pytest.raises(StoreError, match="down"):
            use()


def test_limits_count_locally(made):
    made.store.incr("n", 100)
    made.backend.is_down = True
    assert [made.store.incr("n", ttl=60) for _ in range(2)] == [1, 2]
    taken = [bool(made.store.take("t", rate=1, burst=2)) for _ in range(3)]
    assert taken == [True, True, False]


def test_local_counts_end_with_the_outage(made):
    made.store.incr("n", 100)
    made.backend.is_down = True
    made.store.incr("n")
    made.backend.is_down = False
    assert made.store.incr("n") == 101
    made.backend.is_down = True
    assert made.store.incr("n") == 1


def test_a_store_that_can_only_be_read_is_an_outage_with_one_line(made):
    made.backend.is_read_only = True
    with capture_logs() as logs:
        for number in range(1, 3 * FAILURES):
            assert made.store.incr("n") == number
            assert made.store.get("k") is None
        assert made.store.store.degraded
        made.backend.is_read_only = False
        made.monotonic += PAUSE
        assert made.store.incr("n") == 1
    assert not made.store.store.degraded
    assert [(one["event"], one.get("error")) for one in logs] == [
        ("store unavailable", "read-only"),
        ("store available", None),
    ]


def test_reads_go_on_while_writes_wait_for_the_next_attempt(made):
    made.store.set("k", "v")
    made.backend.is_read_only = True
    for _ in range(FAILURES):
        made.store.incr("n")
        assert made.store.get("k") == "v"
    before = made.backend.attempts
    made.store.incr("n")
    assert made.backend.attempts == before
    assert made.store.get("k") == "v"
    made.backend.is_down = True
    with pytest.raises(StoreError, match="down"):
        made.store.get("k")
    with pytest.raises(StoreError, match="unavailable"):
        made.store.get("k")


def test_a_batch_has_local_results_and_errors(made):
    made.backend.is_down = True
    count, value, taken = made.store.batch(
        call("incr", "n"), call("get", "k"), call("take", "t", rate=1, burst=1)
    )
    assert (count.value, bool(taken.value)) == (1, True)
    with pytest.raises(StoreError):
        _ = value.value


def test_after_several_failures_no_attempt_is_made_during_the_pause(made):
    fail(made)
    assert made.backend.attempts == FAILURES
    with pytest.raises(StoreError, match="unavailable"):
        made.store.get("k")
    assert made.store.incr("n") == 1
    assert made.backend.attempts == FAILURES
    made.monotonic += PAUSE
    with pytest.raises(StoreError, match="down"):
        made.store.get("k")
    with pytest.raises(StoreError, match="unavailable"):
        made.store.get("k")
    assert made.backend.attempts == FAILURES + 1


def test_one_success_after_the_pause_ends_the_outage(made):
    fail(made)
    made.backend.is_down = False
    with pytest.raises(StoreError, match="unavailable"):
        made.store.get("k")
    made.monotonic += PAUSE
    made.store.set("k", 1)
    assert made.store.get("k") == 1


def test_an_outage_has_one_line_at_its_begin_and_one_at_its_end(made):
    with capture_logs() as logs:
        fail(made, 2 * FAILURES)
        for _ in range(20):
            made.monotonic += PAUSE / 2
            made.store.incr("n")
        made.backend.is_down = False
        made.monotonic += PAUSE
        for _ in range(3):
            made.store.incr("n")
    assert logs == [
        {"event": "store unavailable", "store": "test", "error": "down", "log_level": "error"},
        {
            "event": "store available",
            "store": "test",
            "seconds": 10 * PAUSE + PAUSE,
            "log_level": "warning",
        },
    ]


def test_a_single_failure_is_not_logged(made):
    with capture_logs() as logs:
        fail(made, FAILURES - 1)
        made.backend.is_down = False
        made.store.get("k")
        fail(made, FAILURES - 1)
    assert logs == []


def test_degraded_is_true_during_the_outage(made):
    assert not made.store.store.degraded
    fail(made)
    assert made.store.store.degraded
    made.backend.is_down = False
    made.monotonic += PAUSE
    made.store.get("k")
    assert not made.store.store.degraded


def test_the_statistics_count_operations_and_failures(made):
    made.store.incr("n")
    fail(made)
    made.store.batch(call("incr", "n"), call("get", "k"))
    found = made.guarded.statistics
    assert (found.operations, found.failed, found.local, found.outages) == (
        1 + FAILURES + 2,
        FAILURES + 2,
        1,
        1,
    )


def test_a_wrong_type_is_no_failure_of_the_store(made):
    made.store.set("k", "text")
    for _ in range(2 * FAILURES):
        with pytest.raises(KeyTypeError):
            made.store.incr("k")
    assert made.store.get("k") == "text"


def test_a_batch_on_a_store_without_guard_has_errors_as_results(runner):
    backend = Failing()
    backend.is_down = True
    store = Sync(runner, Store(backend, "plain"))
    (pending,) = store.batch(call("incr", "n"))
    with pytest.raises(StoreError, match="down"):
        _ = pending.value
    assert not store.store.degraded


def test_a_breaker_allows_one_attempt_at_a_time_after_the_pause():
    breaker = Breaker(FAILURES, PAUSE)
    for _ in range(FAILURES):
        breaker.failed(0)
    assert [breaker.allows(PAUSE - 0.1), breaker.allows(PAUSE)] == [False, True]
    assert [breaker.allows(PAUSE), breaker.allows(2 * PAUSE)] == [False, True]


def test_a_breaker_can_open_earlier_and_pause_longer():
    breaker = Breaker(2, 60)
    assert [breaker.failed(0), breaker.failed(0)] == [False, True]
    assert [breaker.allows(59), breaker.allows(60)] == [False, True]


def test_a_breaker_closes_silently_after_few_failures():
    breaker = Breaker(FAILURES, PAUSE)
    assert breaker.allows(0)
    assert not breaker.failed(0)
    assert not breaker.succeeded()
    assert breaker.failures == 0
