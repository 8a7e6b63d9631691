"""Good mail while the store is broken: it passes, limits still hold, and the log states why."""

import asyncio
from itertools import count

import pytest
from structlog.testing import capture_logs
from tests.faults.gateway import Gateway, events
from tests.plugins.states import TroubledStore
from tests.store.conftest import make_redis
from tools import redis

from gatepost.store import guarded
from gatepost.store.opening import open_store

__all__ = ["make_redis"]

# A new sender is deferred. A client may send MOST recipients in an hour.
MOST = 8
RULE = {"name": "each", "by": ["address"], "rate": f"{MOST}/1h"}
OPTIONS = {"greylist": {"learn": "0s"}, "rate_limit": {"rules": [RULE]}}
GREYLISTED, LIMITED = "450 4.7.1 Greylisted", "450 4.7.1 Too many recipients"
OUTAGE = {"store unavailable": 1, "store available": 1}
# What plugins find without the store, and with one that can only be read.
NOTHING = {"greylist": "temperror", "reputation": "temperror"}
READ = {"greylist": "temperror", "reputation": "unknown"}


class Sender:
    """Sends good mail, each message to a recipient that has received none."""

    def __init__(self, gateway):
        self.gateway = gateway
        self._numbers = count()

    async def replies(self, number):
        return [await self.reply(f"user{next(self._numbers)}") for _ in range(number)]

    async def reply(self, user):
        reply = (await self.gateway.send(rcpt=f"{user}@example.com"))[-1]
        known = [one for one in (GREYLISTED, LIMITED) if reply.startswith(one)]
        return known[0] if known else reply[:3]

    def found(self):
        return {name: self.gateway.results()[name] for name in NOTHING}


def run(test, store):
    """Run a test with a gateway; return the events of warnings and errors in the log."""

    async def inner():
        try:
            async with asyncio.timeout(60), Gateway(store=store, **OPTIONS) as gateway:
                await test(Sender(gateway))
        finally:
            await store.close()

    with capture_logs() as logs:
        asyncio.run(inner())
    return events(logs)


@pytest.fixture
def server(make_redis, monkeypatch):
    monkeypatch.setattr(guarded, "PAUSE", 0.01)
    with redis.running() as running:
        yield running


def suspend(server):
    server.suspend()
    return server.resume


def kill(server):
    server.kill()
    return server.start


def replicate(server):
    server.command("REPLICAOF", "127.0.0.1", "1")
    return lambda: server.command("REPLICAOF", "NO", "ONE")


def fill(server):
    server.command("CONFIG", "SET", "maxmemory", "1")
    return lambda: server.command("CONFIG", "SET", "maxmemory", "0")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("break_it", "found"),
    [(suspend, NOTHING), (kill, NOTHING), (replicate, READ), (fill, READ)],
)
def test_good_mail_passes_and_limits_hold_while_redis_is_broken(server, tmp_path, break_it, found):
    store = open_store(server.url, folder=tmp_path, timeout=1.0)

    async def test(sender):
        assert await sender.replies(1) == [GREYLISTED]
        repair = break_it(server)
        try:
            assert await sender.replies(MOST) == ["250"] * MOST
            assert sender.found() == found
            assert "greylist    temperror" in sender.gateway.explained()
            assert store.is_degraded
            assert await sender.replies(2) == [LIMITED] * 2
        finally:
            repair()
        while store.is_degraded:
            await sender.replies(1)
        assert await sender.replies(1) == [GREYLISTED]

    assert run(test, store) == OUTAGE


@pytest.mark.slow
def test_after_redis_was_emptied_a_known_sender_is_deferred_once(server, tmp_path):
    store = open_store(server.url, folder=tmp_path, timeout=60.0)

    async def test(sender):
        replies = []
        for _ in range(2):
            server.command("FLUSHALL")
            replies.append(await sender.reply("user"))
            await sender.gateway.server.advance(360)
            replies += [await sender.reply("user"), await sender.reply("user")]
        assert replies == [GREYLISTED, "250", "250"] * 2

    assert run(test, store) == {}


@pytest.mark.parametrize(
    ("trouble", "found"), [("down", NOTHING), ("late", NOTHING), ("read-only", READ)]
)
def test_good_mail_passes_while_a_store_fails(trouble, found):
    store = TroubledStore()

    async def test(sender):
        assert await sender.replies(1) == [GREYLISTED]
        store.trouble(trouble)
        assert await sender.replies(MOST) == ["250"] * MOST
        assert sender.found() == found
        assert await sender.replies(1) == [LIMITED]

    assert run(test, store) == {"store unavailable": 1}


def test_a_damaged_file_is_replaced_and_mail_goes_on(tmp_path):
    store = open_store("local", folder=tmp_path / "store", timeout=60.0)

    async def test(sender):
        assert await sender.replies(1) == [GREYLISTED]
        for path in (tmp_path / "store").glob("1.db*"):
            path.write_bytes(b"\xa5" * path.stat().st_size)
        assert set(await sender.replies(3)) <= {GREYLISTED, "250"}
        assert await sender.replies(1) == [GREYLISTED]

    assert run(test, store)["damaged store replaced"] == 1


@pytest.mark.slow
def test_good_mail_passes_and_limits_hold_while_the_disk_is_full(make_disk, monkeypatch):
    monkeypatch.setattr(guarded, "PAUSE", 0.01)
    disk = make_disk(16)
    store = open_store("local", folder=disk.root / "store", timeout=60.0)

    async def test(sender):
        assert await sender.replies(1) == [GREYLISTED]
        with disk.full():
            # What was reserved on the disk before is still used.
            while not store.is_degraded:
                await sender.replies(1)
            replies = await sender.replies(2 * MOST)
            assert set(replies) <= {"250", LIMITED}
            assert replies[-1] == LIMITED
        while store.is_degraded:
            await sender.replies(1)

    assert run(test, store) == OUTAGE
