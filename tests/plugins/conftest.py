"""Real stores for plugins with state: each call of `real_store` opens the same state again."""

import asyncio

import pytest
from tests.plugins.states import PATIENT
from tests.store.conftest import make_redis, shared_redis
from tools import redis

from gatepost.store.opening import open_store
from gatepost.testing import play_async

__all__ = ["make_redis", "shared_redis"]


@pytest.fixture(params=["local", pytest.param("redis", marks=pytest.mark.slow)])
def open_real(request, tmp_path):
    """A function that opens a store; all have the same state."""
    if request.param == "local":
        yield lambda: open_store("local", folder=tmp_path / "store", timeout=PATIENT)
        return
    request.getfixturevalue("make_redis")
    with redis.running() as server:
        yield lambda: open_store(server.url, folder=tmp_path, timeout=PATIENT)


@pytest.fixture
def play_real(open_real):
    """`play` with a store that is opened and closed for each transcript."""

    async def played(transcript, plugins, **options):
        store = open_real()
        try:
            return await play_async(transcript, plugins, store=store, **options)
        finally:
            await store.close()

    return lambda *args, **options: asyncio.run(played(*args, **options))


@pytest.fixture
def play_silent(make_redis, tmp_path):
    """`play` with a Redis that accepts connections and never answers."""

    async def played(server, transcript, plugins, **options):
        store = open_store(server.url, folder=tmp_path, timeout=0.05)
        try:
            return await play_async(transcript, plugins, store=store, **options)
        finally:
            await store.close()

    with redis.running() as server:
        server.suspend()
        yield lambda *args, **options: asyncio.run(played(server, *args, **options))
        server.resume()
