"""Tables on a real Redis."""

import asyncio

import pytest
from structlog.testing import capture_logs
from tests.tables.remote import ask, table
from tools import redis

from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.tables.cached import FAILURES, PAUSE, CachedTable
from gatepost.tables.spec import TableSpecError
from gatepost.tables.table import TableError

HOSTILE = ["*", "a b", "a\r\nFLUSHALL\r\n", "$3", "ann@example.com\r", "\ud800"]


@pytest.fixture(scope="module")
def server():
    if reason := redis.why_not():
        pytest.skip(reason)
    with redis.running() as running:
        running.command("SET", "users:ann@example.com", "Ann")
        running.command("SET", "users:\u00f6@example.com", "\u00e4")
        running.command("HSET", "boxes", "ann@example.com", "A", "ann", "B")
        running.command("SADD", "known", "ann@example.com", "@example.org")
        yield running


def over(server, folder, **options):
    return table("redis:u", folder, redis={"u": {"url": server.url, **options}})


@pytest.mark.parametrize(
    ("options", "keys", "found"),
    [
        (
            {"key": "users:{key}"},
            ["ann@example.com", "\u00f6@example.com", "bob@example.com"],
            {"ann@example.com": "Ann", "\u00f6@example.com": "\u00e4"},
        ),
        ({"hash": "boxes"}, ["ann@example.com", "bob@example.com"], {"ann@example.com": "A"}),
        ({"hash": "boxes", "key": "{user}"}, ["ann@b", "@b", "ann"], {"ann@b": "B"}),
        ({"set": "known"}, ["ann@example.com", "@example.org", "x"],
         {"ann@example.com": "", "@example.org": ""}),
        ({"hash": "none"}, ["ann@example.com"], {}),
        ({"set": "none"}, ["ann@example.com"], {}),
        ({"key": "{user}"}, ["@example.com"], {}),
    ],
)  # fmt: skip
def test_found_keys_have_their_values(server, tmp_path, options, keys, found):
    assert ask(over(server, tmp_path, **options), *keys) == found


@pytest.mark.parametrize("options", [{"key": "users:{key}"}, {"hash": "boxes"}, {"set": "known"}])
def test_keys_are_never_commands(server, tmp_path, options):
    found = ask(over(server, tmp_path, **options), *HOSTILE, "ann@example.com")
    assert set(found) == {"ann@example.com"}
    assert server.command("EXISTS", "known") == b":1\r\n"


@pytest.mark.parametrize("options", [{"key": "boxes{key}"}, {"hash": "known"}, {"set": "boxes"}])
def test_a_value_of_another_type_is_an_error(server, tmp_path, options):
    server.command("HSET", "boxesx", "a", "b")
    with pytest.raises(TableError, match="WRONGTYPE"):
        ask(over(server, tmp_path, **options), "x")


def test_a_wrong_password_is_an_error_without_the_password(tmp_path):
    if reason := redis.why_not():
        pytest.skip(reason)
    (tmp_path / "password").write_text("right-one\n")
    (tmp_path / "wrong").write_text("wrong-one\n")
    with redis.running("--requirepass", "right-one") as server:
        assert ask(over(server, tmp_path, password_file="password"), "x") == {}
        with pytest.raises(TableError) as found:
            ask(over(server, tmp_path, password_file="wrong"), "x")
        assert "wrong-one" not in str(found.value)
        with pytest.raises(TableError, match="required"):
            ask(over(server, tmp_path), "x")


def test_a_restart_of_the_server_between_two_queries_is_not_noticed(tmp_path):
    if reason := redis.why_not():
        pytest.skip(reason)
    with redis.running() as server:

        async def run():
            made = over(server, tmp_path)
            for _ in range(3):
                assert await made.ask(["a"]) == {}
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
            await made.stop()

        asyncio.run(run())


@pytest.mark.parametrize("trouble", ["kill", "suspend"])
def test_an_outage_is_reported_once_and_ends_when_the_server_is_back(tmp_path, trouble):
    if reason := redis.why_not():
        pytest.skip(reason)
    with redis.running() as server:

        async def run():
            now = [100.0]
            server.command("SET", "a", "1")
            made = over(server, tmp_path, timeout="50ms")
            cached = CachedTable(made, VirtualClock(), 0.0, monotonic=lambda: now[0])
            await asyncio.to_thread(getattr(server, trouble))
            for _ in range(FAILURES + 2):
                with pytest.raises(TableError):
                    await cached.ask(["a"])
            await asyncio.to_thread(server.start if trouble == "kill" else server.resume)
            server.command("SET", "a", "1")
            made.timeout = 30.0
            await made.stop()  # the next connection waits as long
            now[0] += PAUSE
            assert await cached.ask(["a"]) == {"a": "1"}
            await cached.stop()

        with capture_logs() as logs:
            asyncio.run(run())
    assert [line["event"] for line in logs] == ["table unavailable", "table available"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"url": "http://h"}, "expected redis://, rediss:// or unix://"),
        ({"url": "redis://h:99999"}, "expected a port"),
        ({"hash": "a", "set": "b"}, "expected hash or set, found both"),
        ({"key": "users"}, "expected {key}, {user} or {domain}"),
        ({"password_file": "none"}, "cannot be read"),
    ],
)
def test_wrong_options_are_an_error_at_start(tmp_path, options, expected):
    with pytest.raises(TableSpecError, match=expected):
        table("redis:u", tmp_path, redis={"u": {"url": "redis://h", **options}})
