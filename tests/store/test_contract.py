"""The rules of the store, on each implementation.

Times are hours, so that the seconds of a slow run make no difference.
"""

import asyncio
import concurrent.futures
import math

import pytest
from tests.store.stores import NAMESPACE, call

from gatepost.net.inline import UNFINISHED, first_step
from gatepost.store.errors import KeyTypeError, StoreError
from gatepost.store.keys import MAX_KEY, MAX_TTL, MAX_VALUE, normalized
from gatepost.store.operations import MAX_INT
from gatepost.store.store import MAX_BATCH

HOUR = 3600.0

KEYS = [
    "plain",
    "with blank",
    "line\r\nfeed",
    "nul\0",
    "ümläut",
    "#hash",
    "x" * MAX_KEY,
    "x" * (MAX_KEY + 1),
    "ü" * MAX_KEY,
    "\udcff",
    "\ud800",
    "emoji 😀",
    "{tag}",
    "*",
    "%s' OR 1=1 --",
]


# values


def test_an_absent_key_has_no_value(store):
    assert store.get("absent") is None


@pytest.mark.parametrize(
    "value", ["", "text", "12", "-0", '"', "@1.5", "\0", "ü😀", "x" * MAX_VALUE]
)
def test_a_text_is_read_as_it_was_written(store, value):
    store.set("k", value)
    assert store.get("k") == value


@pytest.mark.parametrize("value", [0, 1, -1, MAX_INT, -MAX_INT])
def test_a_number_is_read_as_it_was_written(store, value):
    store.set("k", value)
    found = store.get("k")
    assert (found, type(found)) == (value, int)


def test_a_value_can_be_replaced_by_one_of_the_other_type(store):
    store.set("k", "text")
    store.set("k", 5)
    assert store.get("k") == 5
    store.set("k", "again")
    assert store.get("k") == "again"


def test_every_text_is_a_key_of_its_own(store):
    for number, key in enumerate(KEYS):
        store.set(key, number)
        assert store.get(key) == number
        assert store.delete(key)
    for one, other in (("x" * 300 + "a", "x" * 300 + "b"), ("\ud800", "\udcff")):
        store.set(one, 1)
        assert store.get(other) is None


def test_a_key_that_looks_like_a_hash_is_not_the_hashed_key(store):
    long = "y" * 500
    store.set(long, 1)
    assert store.get(normalized(long)) is None


def test_delete_reports_whether_the_key_existed(store):
    store.set("k", 1)
    assert store.delete("k") is True
    assert store.delete("k") is False
    assert store.get("k") is None


# time


def test_a_value_expires(store, stores):
    store.set("k", "v", ttl=HOUR)
    stores.advance(HOUR / 2)
    assert store.get("k") == "v"
    stores.advance(HOUR)
    assert store.get("k") is None
    assert store.delete("k") is False


def test_a_value_without_ttl_stays(store, stores):
    store.set("k", "v")
    stores.advance(1000 * HOUR)
    assert store.get("k") == "v"


def test_set_starts_the_ttl_again(store, stores):
    store.set("k", 1, ttl=HOUR)
    stores.advance(HOUR / 2)
    store.set("k", 2, ttl=HOUR)
    stores.advance(HOUR * 0.75)
    assert store.get("k") == 2


def test_set_without_ttl_removes_the_ttl(store, stores):
    store.set("k", 1, ttl=HOUR)
    store.set("k", 2)
    stores.advance(2 * HOUR)
    assert store.get("k") == 2


# add


def test_add_writes_only_an_absent_key(store):
    assert store.add("k", "first") is True
    assert store.add("k", "second") is False
    assert store.get("k") == "first"


def test_add_writes_again_after_the_end_of_the_ttl(store, stores):
    assert store.add("k", ttl=HOUR)
    stores.advance(HOUR / 2)
    assert not store.add("k", ttl=HOUR)
    stores.advance(HOUR)
    assert store.add("k", ttl=HOUR)
    assert store.get("k") == 1


def test_add_does_not_replace_a_token_bucket(store):
    store.take("k", rate=1 / HOUR, burst=2)
    assert store.add("k") is False


# counters


def test_a_counter_starts_at_zero(store):
    assert store.incr("k") == 1
    assert store.incr("k", 41) == 42
    assert store.incr("k", -2) == 40
    assert store.incr("k", 0) == 40
    assert store.get("k") == 40


def test_a_counter_can_continue_from_a_written_number(store):
    store.set("k", 5)
    assert store.incr("k") == 6


def test_the_ttl_of_a_counter_starts_when_it_is_created(store, stores):
    store.incr("k", ttl=HOUR)
    stores.advance(HOUR * 0.75)
    assert store.incr("k", ttl=HOUR) == 2
    stores.advance(HOUR / 2)
    assert store.incr("k", ttl=HOUR) == 1


def test_a_counter_without_ttl_stays_without(store, stores):
    store.incr("k")
    store.incr("k", ttl=HOUR)
    stores.advance(2 * HOUR)
    assert store.get("k") == 2


def test_a_counter_stops_at_the_largest_number(store):
    store.set("k", MAX_INT - 1)
    assert store.incr("k", 5) == MAX_INT
    assert store.incr("k", MAX_INT) == MAX_INT
    assert store.incr("k", -1) == MAX_INT - 1
    store.set("k", -MAX_INT)
    assert store.incr("k", -MAX_INT) == -MAX_INT


@pytest.mark.parametrize("text", ["text", "5", "", "-"])
def test_a_text_is_no_counter(store, text):
    store.set("k", text)
    with pytest.raises(KeyTypeError):
        store.incr("k")
    assert store.get("k") == text


# token buckets


def test_a_bucket_gives_its_burst_and_then_refuses(store):
    taken = [store.take("k", rate=1 / HOUR, burst=3) for _ in range(4)]
    assert [bool(one) for one in taken] == [True, True, True, False]
    assert [round(one.remaining) for one in taken] == [2, 1, 0, 0]
    assert [one.retry_after for one in taken[:3]] == [0, 0, 0]
    assert taken[3].retry_after == pytest.approx(HOUR, rel=0.05)


def test_a_bucket_gets_tokens_at_its_rate(store, stores):
    for _ in range(3):
        store.take("k", rate=1 / HOUR, burst=3)
    stores.advance(1.5 * HOUR)
    assert store.take("k", rate=1 / HOUR, burst=3)
    refused = store.take("k", rate=1 / HOUR, burst=3)
    assert not refused
    assert refused.retry_after == pytest.approx(HOUR / 2, rel=0.05)


def test_a_bucket_never_has_more_than_its_burst(store, stores):
    store.take("k", rate=1 / HOUR, burst=2)
    stores.advance(1000 * HOUR)
    assert [bool(store.take("k", rate=1 / HOUR, burst=2)) for _ in range(3)] == [True, True, False]


def test_a_cost_takes_several_tokens_or_none(store):
    assert store.take("k", rate=1 / HOUR, burst=10, cost=7)
    refused = store.take("k", rate=1 / HOUR, burst=10, cost=4)
    assert not refused
    assert round(refused.remaining) == 3
    assert store.take("k", rate=1 / HOUR, burst=10, cost=3)


def test_a_cost_above_the_burst_is_never_available(store):
    refused = store.take("k", rate=1 / HOUR, burst=2, cost=3)
    assert not refused
    assert refused.retry_after == math.inf
    assert store.get("k") is None


def test_a_refusal_takes_nothing(store, stores):
    store.take("k", rate=1 / HOUR, burst=1)
    for _ in range(10):
        assert not store.take("k", rate=1 / HOUR, burst=1)
    stores.advance(1.01 * HOUR)
    assert store.take("k", rate=1 / HOUR, burst=1)


def test_fractions_of_tokens_add_up(store):
    taken = [bool(store.take("k", rate=0.1 / HOUR, burst=1, cost=0.1)) for _ in range(11)]
    assert taken == [True] * 10 + [False]


def test_a_bucket_is_no_value(store):
    store.take("k", rate=1 / HOUR, burst=2)
    for use in (lambda: store.get("k"), lambda: store.incr("k")):
        with pytest.raises(KeyTypeError):
            use()
    assert store.delete("k") is True


def test_a_value_is_no_bucket(store):
    for value in ("text", 5):
        store.set("k", value)
        with pytest.raises(KeyTypeError):
            store.take("k", rate=1, burst=1)
        assert store.get("k") == value


# batches


def test_a_batch_has_the_results_in_order(store):
    pending = store.batch(
        call("incr", "n"),
        call("incr", "n"),
        call("add", "a"),
        call("add", "a"),
        call("set", "t", "text"),
        call("get", "t"),
        call("delete", "a"),
        call("take", "b", rate=1 / HOUR, burst=1),
        call("take", "b", rate=1 / HOUR, burst=1),
    )
    values = [one.value for one in pending]
    assert values[:7] == [1, 2, True, False, None, "text", True]
    assert [bool(one) for one in values[7:]] == [True, False]


def test_an_operation_on_a_wrong_type_fails_alone(store):
    store.set("t", "text")
    first, wrong, last = store.batch(call("incr", "n"), call("incr", "t"), call("incr", "n"))
    assert (first.value, last.value) == (1, 2)
    with pytest.raises(KeyTypeError):
        _ = wrong.value


def test_a_long_batch_is_executed(store):
    pending = store.batch(*[call("incr", "n")] * MAX_BATCH)
    assert [one.value for one in pending] == list(range(1, MAX_BATCH + 1))


def test_an_empty_batch_does_nothing(store):
    assert store.batch() == []


def test_a_batch_that_fails_in_the_block_is_not_executed(store, runner):
    async def fail():
        async with store.store.batch() as batch:
            batch.incr("n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        runner.run(fail())
    assert store.get("n") is None


def test_a_result_before_the_end_of_the_block_is_an_error(store):
    batch = store.store.batch()
    with pytest.raises(StoreError):
        _ = batch.incr("n").value


# connections and namespaces


def test_connections_share_the_state(stores):
    one, other = stores.open(), stores.open()
    assert [one.incr("k"), other.incr("k"), one.incr("k")] == [1, 2, 3]
    assert other.add("a")
    assert not one.add("a")


def test_namespaces_are_separate(stores):
    one, other = stores.open("one"), stores.open("other")
    one.set("k", 1)
    assert other.get("k") is None
    assert other.add("k", 2)
    assert one.get("k") == 1


def test_a_namespace_is_no_prefix_of_another(stores):
    one, other = stores.open("a"), stores.open("a.b")
    one.set("b:k", 1)
    one.set(".b:k", 1)
    assert other.get("k") is None


def test_concurrent_operations_are_atomic(stores, runner):
    connections = [stores.open().store for _ in range(3)]

    async def count():
        calls = [one.incr("n") for one in connections * 40]
        added = [one.add("a") for one in connections * 10]
        taken = [one.take("t", rate=1 / HOUR, burst=7) for one in connections * 10]
        return (
            await asyncio.gather(*calls),
            await asyncio.gather(*added),
            await asyncio.gather(*taken),
        )

    counts, added, taken = runner.run(count())
    assert sorted(counts) == list(range(1, 121))
    assert added.count(True) == 1
    assert sum(map(bool, taken)) == 7


def test_a_cancelled_caller_does_not_disturb_the_next(stores, runner):
    store = stores.open().store

    async def scenario():
        await store.set("other", "value")
        for _ in range(5):
            task = asyncio.create_task(store.incr("n"))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert await store.get("other") == "value"

    runner.run(scenario())


def test_a_local_store_does_not_suspend(local, runner):
    store = local.open()
    store.incr("n")

    async def in_place():
        got = [first_step(store.store.incr("n")), first_step(store.store.get("n"))]
        got.append(first_step(store.store.add("a")))
        got.append(bool(first_step(store.store.take("t", rate=1, burst=2))))
        return got

    got = runner.run(in_place())
    assert UNFINISHED not in got
    assert got == [2, 2, True, True]


def test_a_store_that_waits_needs_no_task(stores, runner):
    """The first operation has to open the local store, and Redis always waits."""
    store = stores.open().store

    async def scenario():
        coroutine = store.incr("n")
        return await asyncio.wrap_future(driven(coroutine))

    def driven(coroutine):
        result = concurrent.futures.Future()

        def step(_=None):
            try:
                awaited = coroutine.send(None)
            except StopIteration as done:
                result.set_result(done.value)
            else:
                awaited.add_done_callback(step)

        asyncio.get_running_loop().call_soon(step)
        return result

    assert runner.run(scenario()) == 1


# arguments


WRONG = [
    (lambda store: store.get(5), TypeError),
    (lambda store: store.get(b"bytes"), TypeError),
    (lambda store: store.set("k", 1.5), TypeError),
    (lambda store: store.set("k", True), TypeError),
    (lambda store: store.set("k", None), TypeError),
    (lambda store: store.set("k", b"bytes"), TypeError),
    (lambda store: store.set("k", "x" * (MAX_VALUE + 1)), ValueError),
    (lambda store: store.set("k", "\ud800"), ValueError),
    (lambda store: store.set("k", MAX_INT + 1), ValueError),
    (lambda store: store.incr("k", 0.5), TypeError),
    (lambda store: store.incr("k", -MAX_INT - 1), ValueError),
    (lambda store: store.set("k", 1, ttl=0), ValueError),
    (lambda store: store.add("k", ttl=-1), ValueError),
    (lambda store: store.incr("k", ttl=math.nan), ValueError),
    (lambda store: store.incr("k", ttl=2 * MAX_TTL), ValueError),
    (lambda store: store.take("k", rate=0, burst=1), ValueError),
    (lambda store: store.take("k", rate=1, burst=math.inf), ValueError),
    (lambda store: store.take("k", rate=1, burst=1, cost=-1), ValueError),
    (lambda store: store.take("k", rate=math.nan, burst=1), ValueError),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_wrong_arguments_are_refused_and_change_nothing(store, number):
    use, error = WRONG[number]
    with pytest.raises(error):
        use(store)
    assert store.get("k") is None


def test_a_batch_has_a_limit(store):
    with pytest.raises(ValueError, match="at most"):
        store.batch(*[call("incr", "n")] * (MAX_BATCH + 1))


@pytest.mark.parametrize("name", ["", "a:b", "ü", "a b", "x" * 65, "a\n"])
def test_wrong_namespaces_are_refused(stores, name):
    with pytest.raises(ValueError, match="expected a name"):
        stores.open(name)


# quotas of local stores


def fill(store, count, **options):
    for number in range(count):
        store.set(f"key-{number}".ljust(20), 1, **options)


def found(store, count):
    return [number for number in range(count) if store.get(f"key-{number}".ljust(20)) is not None]


def test_the_entries_that_expire_next_make_room(local):
    store = local.open()
    for number in range(7):
        store.set(f"key-{number}".ljust(20), 1, ttl=HOUR * (10 - number))
    assert found(store, 7) == [0, 1, 2, 3, 6]


def test_expired_entries_make_room_first(local):
    store = local.open()
    fill(store, 3, ttl=HOUR)
    local.advance(2 * HOUR)
    for number in range(3, 7):
        store.set(f"key-{number}".ljust(20), 1, ttl=HOUR)
    assert found(store, 7) == [3, 4, 5, 6]


def test_entries_without_ttl_stay_longest(local):
    store = local.open()
    fill(store, 2)
    for number in range(2, 8):
        store.set(f"key-{number}".ljust(20), 1, ttl=1000 * HOUR)
    assert found(store, 8) == [0, 1, 5, 6, 7]


def test_a_longer_value_of_a_key_makes_room(local):
    store = local.open()
    fill(store, 5, ttl=HOUR)
    store.set("key-0".ljust(20), "x" * 130, ttl=HOUR / 2)
    assert found(store, 5) == [0, 3, 4]


def test_other_namespaces_are_not_affected(local):
    other, store = local.open("other"), local.open(NAMESPACE)
    other.set("k", 1, ttl=HOUR)
    fill(store, 20, ttl=10 * HOUR)
    assert other.get("k") == 1


def test_deleted_entries_do_not_count(local):
    store = local.open()
    for _ in range(3):
        fill(store, 4)
        for number in range(4):
            store.delete(f"key-{number}".ljust(20))
    fill(store, 5)
    assert found(store, 5) == [0, 1, 2, 3, 4]


def test_a_value_larger_than_the_quota_replaces_all_others(local):
    store = local.open()
    fill(store, 5)
    store.set("big", "x" * 1000)
    assert store.get("big") == "x" * 1000
    assert found(store, 5) == []
    store.set("small", 1, ttl=HOUR)
    assert store.get("small") == 1
