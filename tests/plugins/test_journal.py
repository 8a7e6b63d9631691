"""The journal that workers share."""

import asyncio
import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.states import TroubledStore

from gatepost import Store, StoreError
from gatepost.plugins._journal import GRACE, LAST, MOST, Journal
from gatepost.store.memory import MemoryBackend
from gatepost.testing import MemoryStore, VirtualClock, memory_store

NOW = 1000.0


def awaited(test):
    """Run a coroutine as a test. Decorator."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))

    return run


class Worker:
    """A reader and writer of a journal."""

    def __init__(self, store):
        self.store = store
        self.journal = Journal(3600)

    async def append(self, *texts):
        return [await self.journal.append(self.store, text) for text in texts]

    async def read(self, now=NOW):
        last = await self.store.get(LAST) or 0
        return (
            await self.journal.read(self.store, last, now) if self.journal.is_behind(last) else []
        )


@pytest.fixture
def store():
    return memory_store()


@awaited
async def test_each_worker_reads_each_text_once_and_in_order(store):
    one, other = Worker(store), Worker(store)
    assert await one.append("a", "b") == [1, 2]
    assert await other.append("c") == [3]
    assert await one.read() == ["a", "b", "c"]
    await other.append("d")
    assert await one.read() == ["d"]
    assert await other.read() == ["a", "b", "c", "d"]
    assert await one.read() == []


@awaited
async def test_without_texts_there_is_nothing_to_read(store):
    worker = Worker(store)
    assert not worker.journal.is_behind(0)
    assert await worker.read() == []


@awaited
async def test_a_new_worker_skips_texts_that_have_expired():
    clock = VirtualClock()
    store = MemoryStore(clock).scope("test")
    await Worker(store).append("a", "b")
    await clock.sleep(3601)
    await Worker(store).append("c")
    new = Worker(store)
    assert await new.read() == ["c"]
    assert await new.read() == []


@awaited
async def test_a_text_that_is_being_written_is_waited_for(store):
    worker, other = Worker(store), Worker(store)
    await other.append("a")
    assert await worker.read() == ["a"]
    await store.incr(LAST)
    await other.append("c")
    assert await worker.read() == []
    assert await worker.read(NOW + GRACE / 2) == []
    await store.set("entry 2", "b")
    assert await worker.read(NOW + GRACE) == ["b", "c"]


@awaited
async def test_a_text_that_never_comes_is_skipped(store):
    worker = Worker(store)
    await worker.append("a")
    assert await worker.read() == ["a"]
    await store.incr(LAST, 3)
    await worker.append("b")
    assert await worker.read() == []
    assert await worker.read(NOW + GRACE) == ["b"]
    await store.incr(LAST)
    await worker.append("c")
    assert await worker.read(NOW + GRACE + 1) == []


@awaited
async def test_a_worker_that_has_missed_many_reads_the_last_ones(store):
    worker = Worker(store)
    await worker.append("a")
    await worker.read()
    await worker.append(*map(str, range(MOST + 5)))
    assert await worker.read() == [str(one) for one in range(5, MOST + 5)]


class Waiting(MemoryBackend):
    """A store that lets other tasks run before each batch."""

    async def execute(self, namespace, operations):
        await asyncio.sleep(0)
        return await super().execute(namespace, operations)


@awaited
async def test_sessions_that_read_at_the_same_time_get_each_text_once():
    store = Store(Waiting(clock=lambda: NOW), "test")
    worker = Worker(store)
    await worker.append("a", "b")
    found = await asyncio.gather(*(worker.journal.read(store, 2, NOW) for _ in range(3)))
    assert sorted(found) == [[], [], ["a", "b"]]


@awaited
async def test_an_entry_of_another_type_is_left_out(store):
    worker = Worker(store)
    await worker.append("a")
    await store.set("entry 1", 7)
    assert await worker.read() == []


@awaited
async def test_without_the_store_it_raises():
    store = TroubledStore("down").scope("test")
    worker = Worker(store)
    with pytest.raises(StoreError):
        await worker.append("a")
    with pytest.raises(StoreError):
        await worker.journal.read(store, 3, NOW)


STEPS = st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=30)


@given(STEPS)
@awaited
async def test_all_workers_read_the_same_texts(steps):
    store = memory_store()
    workers, read = [Worker(store) for _ in range(3)], [[], [], []]
    for number, (at, writes) in enumerate(steps):
        if writes:
            await workers[at].append(str(number))
        else:
            read[at] += await workers[at].read()
    for at, worker in enumerate(workers):
        read[at] += await worker.read()
    assert (
        read[0] == read[1] == read[2] == [str(n) for n, (_, writes) in enumerate(steps) if writes]
    )
