"""The stores under test, each with a clock that the test moves."""

import asyncio
import importlib.util
import secrets

import pytest
from tests.store.stores import MemoryStores, RedisStores, SqliteStores
from tools import redis


@pytest.fixture(scope="session")
def shared_redis():
    """One Redis for all contract tests of a process; each uses a prefix of its own."""
    skip_without_redis()
    with redis.running() as server:
        yield server


@pytest.fixture
def make_redis():
    """`tools.redis.running`, or skip the test."""
    skip_without_redis()
    return redis.running


def skip_without_redis():
    if importlib.util.find_spec("redis") is None:
        pytest.skip("the Python package redis is missing: pip install 'gatepost[redis]'")
    if reason := redis.why_not():
        pytest.skip(f"redis-server is missing: {reason}")


@pytest.fixture
def runner():
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(params=["memory", "sqlite", pytest.param("redis", marks=pytest.mark.slow)])
def stores(request, runner, tmp_path):
    """Connections to one state: `stores.open()` returns one after the other."""
    match request.param:
        case "memory":
            made = MemoryStores(runner)
        case "sqlite":
            made = SqliteStores(runner, tmp_path / "store")
        case _:
            server = request.getfixturevalue("shared_redis")
            made = RedisStores(runner, server, prefix=f"{secrets.token_hex(8)}:")
    yield made
    made.close()


@pytest.fixture
def store(stores):
    return stores.open()


@pytest.fixture(params=["memory", "sqlite"])
def local(request, runner, tmp_path):
    """The stores with a quota, which is small here; see `tests.store.stores.QUOTA`."""
    made = (
        MemoryStores(runner)
        if request.param == "memory"
        else SqliteStores(runner, tmp_path / "store")
    )
    yield made
    made.close()
