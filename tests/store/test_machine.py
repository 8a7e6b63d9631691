"""Random operations: SQLite, with two connections and restarts, does the same as the memory."""

import asyncio
import math
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.store.stores import QUOTA, MemoryStores, SqliteStores, call

from gatepost.store.errors import KeyTypeError
from gatepost.store.operations import MAX_INT
from gatepost.store.sqlite.writer import Database

ALL_KEYS = ["a", "b", "c", "d", "key with 20 octets..", "#", "\ud800", "ü" * 150]
KEYS = st.sampled_from(ALL_KEYS)
VALUES = st.one_of(
    st.integers(-MAX_INT, MAX_INT), st.text(st.characters(exclude_categories=["Cs"]), max_size=150)
)
TTLS = st.one_of(st.none(), st.floats(0.001, 100))
RATES = st.sampled_from([0.1, 1 / 3, 1.0, 7.0])
BURSTS = st.sampled_from([0.5, 1.0, 3.0, 10.0])


def calls():
    return st.one_of(
        st.builds(lambda key: call("get", key), KEYS),
        st.builds(lambda key: call("delete", key), KEYS),
        st.builds(lambda key, value, ttl: call("set", key, value, ttl=ttl), KEYS, VALUES, TTLS),
        st.builds(lambda key, value, ttl: call("add", key, value, ttl=ttl), KEYS, VALUES, TTLS),
        st.builds(
            lambda key, by, ttl: call("incr", key, by, ttl=ttl),
            KEYS,
            st.integers(-MAX_INT, MAX_INT),
            TTLS,
        ),
        st.builds(
            lambda key, rate, burst, cost: call("take", key, rate=rate, burst=burst, cost=cost),
            KEYS,
            RATES,
            BURSTS,
            st.sampled_from([0.5, 1, 2.5]),
        ),
    )


def value(pending):
    try:
        return pending.value
    except KeyTypeError:
        return KeyTypeError


class Comparison(RuleBasedStateMachine):
    """The model is the store in memory."""

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())

    @initialize(quota=st.sampled_from([QUOTA, math.inf]))
    def open(self, quota):
        self.memory = MemoryStores(self.runner, quota=quota)
        self.sqlite = SqliteStores(self.runner, self.folder, quota=quota)
        self._connect()

    def _connect(self):
        self.model = self.memory.open()
        self.connections = [self.sqlite.open(guarded=False), self.sqlite.open(guarded=False)]

    def teardown(self):
        self.sqlite.close()
        self.runner.close()
        shutil.rmtree(self.folder)

    @rule(batch=st.lists(calls(), max_size=12), which=st.booleans())
    def execute(self, batch, which):
        expected = [value(one) for one in self.model.batch(*batch)]
        found = [value(one) for one in self.connections[which].batch(*batch)]
        assert found == expected
        assert list(map(type, found)) == list(map(type, expected))

    @rule(seconds=st.floats(-10, 200))
    def wait(self, seconds):
        if seconds < 0:
            self._remove_expired()
        self.memory.advance(seconds)
        self.sqlite.advance(seconds)

    def _remove_expired(self):
        """Remove what has expired: a store may have it still, and an earlier time revives it."""
        for key in ALL_KEYS:
            for store in (self.model, self.connections[0]):
                if value(store.batch(call("get", key))[0]) is None:
                    store.batch(call("set", key, 1), call("delete", key))

    @rule()
    def restart(self):
        self.sqlite.close()
        self._connect()

    @rule()
    def maintain(self):
        async def run():
            await self.sqlite.backends[-1]._thread().submit(Database.maintain)

        self.runner.run(run())


class TestComparison(Comparison.TestCase):
    settings = settings(max_examples=60, stateful_step_count=25)
