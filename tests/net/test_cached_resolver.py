"""The cache in front of the name servers, with a name server and a clock of the test."""

import asyncio
from collections import Counter

import pytest
from structlog.testing import capture_logs

from gatepost.net import cached_resolver
from gatepost.net.cached_resolver import FAILED, LONGEST, NEGATIVE, SHORTEST, CachedResolver
from gatepost.net.dns_response import Response, failure
from gatepost.net.inline import UNFINISHED, finish, first_step
from gatepost.net.name_servers import SUSPECT, NameServers
from gatepost.net.questions import ABSENT, EMPTY, Answer
from gatepost.net.resolve_error import NoSuchNameError, ResolveError
from gatepost.net.together import together


def found(*records, ttl=300.0):
    return Response(Answer("found", list(records)), ttl)


RESPONSES = {
    ("TXT", "example.com"): found("v=spf1 -all"),
    ("TXT", "long.example"): found("x", ttl=1e9),
    ("TXT", "zero.example"): found("x", ttl=0.0),
    ("TXT", "empty.example"): Response(EMPTY),
    ("TXT", "broken.example"): failure("SERVFAIL"),
    ("MX", "example.com"): found((10, "mx.example.com")),
    ("A", "example.com"): found("192.0.2.1"),
    ("AAAA", "example.com"): found("2001:db8::1"),
    ("PTR", "1.2.0.192.in-addr.arpa"): found("host.example"),
    ("A", "1.2.0.192.bl.example"): found("127.0.0.2"),
}


class Source:
    """Answers from RESPONSES once `open` is set; counts the questions."""

    def __init__(self):
        self.asked = Counter()
        self.dead = False
        self.open = asyncio.Event()
        self.open.set()

    async def query(self, kind, key):
        self.asked[kind, key] += 1
        await self.open.wait()
        if self.dead:
            return failure("no answer in time", reached=False)
        return RESPONSES.get((kind, key), Response(ABSENT))

    async def close(self):
        self.open.set()


class World:
    def __init__(self, **options):
        self.now = 0.0
        self.source = Source()
        self.dns = CachedResolver(self.source, clock=lambda: self.now, **options)

    @property
    def asked(self):
        return self.source.asked.total()

    @property
    def lookups(self):
        return {name: count for name, count in self.dns.status.lookups.items() if count}


def run(test, **options):
    async def inner():
        world = World(**options)
        async with asyncio.timeout(60):
            await test(world)
        await world.dns.close()

    asyncio.run(inner())


async def outcome(awaitable):
    try:
        return await awaitable
    except (NoSuchNameError, ResolveError) as error:
        return type(error), str(error)


@pytest.mark.parametrize(
    ("method", "name", "answer"),
    [
        ("txt", "example.com", ["v=spf1 -all"]),
        ("mx", "example.com", [(10, "mx.example.com")]),
        ("a", "example.com", ["192.0.2.1"]),
        ("aaaa", "example.com", ["2001:db8::1"]),
        ("addresses", "example.com", ["2001:db8::1", "192.0.2.1"]),
        ("ptr", "192.0.2.1", ["host.example"]),
        ("txt", "empty.example", []),
        ("txt", "gone.example", (NoSuchNameError, "gone.example: no such name")),
        ("txt", "broken.example", (ResolveError, "broken.example TXT: SERVFAIL")),
    ],
)
def test_the_second_answer_is_the_same_and_comes_from_the_cache(method, name, answer):
    async def test(world):
        look_up = getattr(world.dns, method)
        assert await outcome(look_up(name)) == answer
        asked = world.asked
        assert first_step(outcome(look_up(name))) == answer
        assert world.asked == asked
        assert world.lookups == {"query": asked, "cache": asked}

    run(test)


def test_entries_of_a_dns_list_come_from_the_cache():
    async def test(world):
        for _ in range(2):
            assert await world.dns.listed("192.0.2.1", "bl.example") == ["127.0.0.2"]
            assert await world.dns.listed("192.0.2.2", "bl.example") is None
        assert world.asked == 2

    run(test)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("example.com", 300),
        ("zero.example", SHORTEST),
        ("long.example", LONGEST),
        ("empty.example", NEGATIVE),
        ("gone.example", NEGATIVE),
        ("broken.example", FAILED),
    ],
)
def test_an_answer_is_kept_for_its_ttl_within_limits(name, seconds):
    async def test(world):
        await outcome(world.dns.txt(name))
        world.now += seconds - 0.01
        await outcome(world.dns.txt(name))
        assert world.asked == 1
        world.now += 0.01
        await outcome(world.dns.txt(name))
        assert world.asked == 2

    run(test)


def test_a_caller_that_changes_its_list_changes_no_other():
    async def test(world):
        for _ in range(3):
            answer = await world.dns.txt("example.com")
            assert answer == ["v=spf1 -all"]
            answer.append("more")

    run(test)


def test_the_key_is_the_canonical_name():
    async def test(world):
        for name in ("example.com", "EXAMPLE.com.", "Example.Com"):
            assert await world.dns.txt(name) == ["v=spf1 -all"]
        for name in ("bücher.example", "XN--BCHER-KVA.example"):
            await outcome(world.dns.txt(name))
        assert world.source.asked == {
            ("TXT", "example.com"): 1,
            ("TXT", "xn--bcher-kva.example"): 1,
        }

    run(test)


@pytest.mark.parametrize("name", ["", "a..b", "a b", "x" * 64, "a+b.example", "\udcff"])
def test_a_name_that_cannot_exist_is_neither_asked_nor_kept(name):
    async def test(world):
        with pytest.raises(NoSuchNameError):
            await world.dns.txt(name)
        assert (world.asked, world.dns.status.entries) == (0, 0)

    run(test)


def test_the_same_question_at_the_same_time_is_asked_once():
    async def test(world):
        world.source.open.clear()
        names = ["example.com", "Example.COM", "example.com"]
        tasks = [asyncio.ensure_future(world.dns.txt(name)) for name in names]
        await asyncio.sleep(0)
        world.source.open.set()
        assert await asyncio.gather(*tasks) == [["v=spf1 -all"]] * 3
        assert (world.asked, world.lookups) == (1, {"query": 1, "shared": 2})

    run(test)


def test_a_cancelled_lookup_does_not_end_that_of_the_others():
    async def test(world):
        world.source.open.clear()
        first, second = (asyncio.ensure_future(world.dns.txt("example.com")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait({first})
        world.source.open.set()
        assert await second == ["v=spf1 -all"]
        assert first.cancelled()

    run(test)


def test_the_answer_to_a_question_that_is_not_waited_for_is_kept():
    async def test(world):
        world.source.open.clear()
        only = asyncio.ensure_future(world.dns.txt("example.com"))
        await asyncio.sleep(0)
        only.cancel()
        await asyncio.wait({only})
        world.source.open.set()
        assert await world.dns.txt("example.com") == ["v=spf1 -all"]
        assert world.asked == 1

    run(test)


def test_a_lookup_that_waits_requires_a_task():
    async def test(world):
        lookup = world.dns.txt("example.com")
        assert first_step(lookup) is UNFINISHED
        lookup.close()
        answers = await together(world.dns.txt("example.com"), world.dns.txt("gone.example"))
        assert answers[0] == ["v=spf1 -all"]
        assert isinstance(answers[1], NoSuchNameError)
        assert world.asked == 2

    run(test)


def test_more_questions_than_the_limit_fail_at_once(monkeypatch):
    monkeypatch.setattr(cached_resolver, "MOST_PENDING", 2)

    async def test(world):
        world.source.open.clear()
        names = ("one.example", "example.com", "example.com")
        tasks = [asyncio.ensure_future(outcome(world.dns.txt(name))) for name in names]
        await asyncio.sleep(0)
        with pytest.raises(ResolveError, match=r"questions are being asked already$"):
            await world.dns.txt("three.example")
        world.source.open.set()
        await asyncio.wait(tasks)
        with pytest.raises(NoSuchNameError):
            await world.dns.txt("three.example")
        assert world.lookups == {"query": 3, "shared": 1, "limit": 1}

    run(test)


def test_dead_name_servers_cost_no_time_out_for_each_question():
    async def test(world):
        await world.dns.txt("example.com")
        world.source.dead = True
        servers, paused, woken = world.dns._servers, asyncio.Event(), asyncio.Event()

        async def sleep(_):
            paused.set()
            await woken.wait()

        servers._sleep = sleep
        for number in range(SUSPECT):
            with pytest.raises(ResolveError, match=r"no answer in time$"):
                await world.dns.txt(f"{number}.example")
        await paused.wait()
        asked = world.asked
        lookup = first_step(outcome(world.dns.txt("other.example")))
        assert lookup == (ResolveError, "other.example TXT: the name servers do not answer")
        assert await world.dns.txt("example.com") == ["v=spf1 -all"]
        assert world.asked == asked
        world.source.dead = False
        woken.set()
        await servers._task
        with pytest.raises(NoSuchNameError):
            await world.dns.txt("other.example")
        assert world.lookups == {"query": SUSPECT + 2, "cache": 1, "outage": 1}
        assert world.dns.status.queries == {"found": 1, "timeout": SUSPECT, "absent": 1}

    with capture_logs() as logs:
        run(test)
    assert [one["event"] for one in logs] == ["name servers unavailable", "name servers available"]


def test_each_probe_asks_for_a_name_that_no_cache_has():
    async def test(world):
        assert await world.dns._reaches_server()
        assert await world.dns._reaches_server()
        names = [name for _, name in world.source.asked]
        assert len(set(names)) == 2
        assert all(name.endswith(".localhost") for name in names)

    run(test)


def test_the_size_of_the_cache_is_limited():
    async def test(world):
        for number in range(200):
            await outcome(world.dns.txt(f"{number}.example"))
        status = world.dns.status
        assert status.octets <= 20_000
        assert status.entries + status.evictions == 200
        assert status.evictions > 100

    run(test, octets=20_000)


def test_lookups_in_progress_end_when_the_resolver_is_closed():
    async def test(world):
        world.source.open.clear()
        first, second = (asyncio.ensure_future(world.dns.txt("example.com")) for _ in range(2))
        await asyncio.sleep(0)
        late = asyncio.ensure_future(world.dns.txt("late.example"))
        await asyncio.sleep(0)
        await world.dns.close()
        for lookup in (first, second, late):
            with pytest.raises(ResolveError, match=r"the lookup was cancelled$"):
                await lookup
        assert await world.dns.txt("example.com") == ["v=spf1 -all"]

    run(test)


def test_a_lookup_that_has_not_begun_ends_too_when_the_resolver_is_closed():
    async def test(world):
        lookup = world.dns.txt("example.com")
        assert first_step(lookup) is UNFINISHED
        await world.dns.close()
        with pytest.raises(ResolveError, match=r"the lookup was cancelled$"):
            await finish(lookup)
        assert await world.dns.txt("example.com") == ["v=spf1 -all"]

    run(test)


def test_a_fault_of_the_source_is_that_of_its_callers_only():
    async def test(world):
        async def fail(*_):
            raise OSError("fault")

        world.source.query, query = fail, world.source.query
        with pytest.raises(OSError, match="fault"):
            await world.dns.txt("example.com")
        world.source.query = query
        assert await world.dns.txt("example.com") == ["v=spf1 -all"]

    run(test)


def test_the_status_has_all_figures():
    async def test(world):
        for name in ("example.com", "example.com", "gone.example", "broken.example"):
            await outcome(world.dns.txt(name))
        status = world.dns.status
        assert status.lookups == {"cache": 1, "query": 3}
        assert status.queries == {"found": 1, "absent": 1, "failed": 1}
        assert (status.entries, status.evictions, status.unavailable) == (3, 0, False)
        assert status.octets > 0

    run(test, servers=NameServers(None, lambda: 0.0))
