"""Tables on servers with a look-up protocol, against servers of the test."""

import asyncio

import pytest
from tests.tables.remote import serving, table

from gatepost.tables.spec import TableSpecError
from gatepost.tables.table import TableError

USERS = {"ann@example.com": "Ann", "a b%@example.com": "x y%\u00f6"}


def scripted(answers, close_after=0):
    """A tcp_table server with these values; it closes a connection after some answers."""
    connections = []

    async def handle(reader, writer):
        connections.append(0)
        while line := await reader.readline():
            connections[-1] += 1
            writer.write(answers(line))
            if connections[-1] == close_after:
                return

    return handle, connections


def number(line):
    return b"200 %d\n" % len(line)


def test_a_connection_is_kept(tmp_path):
    handler, connections = scripted(number)

    async def run():
        async with serving(handler) as port:
            made = table(f"tcp:127.0.0.1:{port}", tmp_path)
            assert await made.ask(["a", "bb"]) == {"a": "6", "bb": "7"}
            assert await made.ask(["ccc"]) == {"ccc": "8"}
            await made.stop()

    asyncio.run(run())
    assert connections == [3]


def test_a_server_that_closes_after_each_answer_answers_all_keys(tmp_path):
    handler, connections = scripted(number, close_after=1)

    async def run():
        async with serving(handler) as port:
            made = table(f"tcp:127.0.0.1:{port}", tmp_path)
            assert await made.ask(["a", "bb", "ccc"]) == {"a": "6", "bb": "7", "ccc": "8"}
            await made.stop()

    asyncio.run(run())
    assert connections == [1, 1, 1]


def test_a_late_answer_is_not_taken_for_that_of_another_key(tmp_path):
    asked, release = asyncio.Event(), asyncio.Event()

    async def handle(reader, writer):
        line = await reader.readline()
        if line == b"get slow\n":
            asked.set()
            await release.wait()
        writer.write(number(line))

    async def run():
        async with serving(handle) as port:
            made = table(f"tcp:127.0.0.1:{port}", tmp_path)
            given_up = asyncio.create_task(made.ask(["slow"]))
            await asked.wait()
            given_up.cancel()
            await asyncio.wait([given_up])
            release.set()
            assert await made.ask(["a"]) == {"a": "6"}
            await made.stop()

    asyncio.run(run())


def test_queries_at_the_same_time_get_their_own_answers(tmp_path):
    handler, _ = scripted(number)

    async def run():
        async with serving(handler) as port:
            made = table(f"tcp:127.0.0.1:{port}", tmp_path)
            found = await asyncio.gather(*(made.ask(["k" * size]) for size in range(1, 9)))
            assert found == [{"k" * size: str(size + 5)} for size in range(1, 9)]
            await made.stop()

    asyncio.run(run())


@pytest.mark.parametrize("answer", [b"400 down\n", b"400\n", b"999 x\n", b"\xff\0\n"])
def test_an_error_of_the_server_is_an_error_of_the_table(tmp_path, answer):
    handler, _ = scripted(lambda _: answer)

    async def run():
        async with serving(handler) as port:
            made = table(f"tcp:127.0.0.1:{port}", tmp_path)
            with pytest.raises(TableError, match="tcp:127"):
                await made.ask(["a"])
            await made.stop()

    asyncio.run(run())


def test_a_key_that_no_address_can_have_is_not_asked(tmp_path):
    handler, connections = scripted(number)

    async def run():
        async with serving(handler) as port:
            made = table(f"tcp:127.0.0.1:{port}", tmp_path)
            keys = ["", "a\nget b", "a\r", "a\0", "\ud800", "k" * 513, "\x7f"]
            assert await made.ask(keys) == {}
            await made.stop()

    asyncio.run(run())
    assert connections == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("tcp:1234", "expected HOST:PORT"),
        ("tcp:host:0", "expected a port from 1 to 65535"),
        ("tcp:host:99999", "expected a port"),
        ("tcp:::1:25", "expected HOST:PORT"),
        ("tcp:[]:25", "expected HOST:PORT"),
        ("socketmap:unix:/run/x:", "expected the name of a map"),
        ("socketmap:unix:/run/x:a b", "expected the name of a map"),
        ("socketmap:unix::map", "expected the path of a socket"),
        ("socketmap:/run/x:map", 'expected "unix:PATH:MAP" or "inet:HOST:PORT:MAP"'),
        ("socketmap:inet:host:map", "expected HOST:PORT"),
        ("dovecot:/run/x", 'expected "dovecot:unix:PATH"'),
        ("dovecot:unix:", "expected the path of a socket"),
    ],
)
def test_a_wrong_specification_is_an_error_at_start(tmp_path, spec, expected):
    with pytest.raises(TableSpecError, match=expected):
        table(spec, tmp_path)


def test_an_address_of_ipv6_is_in_brackets(tmp_path):
    assert table("tcp:[::1]:25", tmp_path).name == "tcp:[::1]:25"


def test_a_socket_that_is_missing_is_named_in_the_error(tmp_path):
    async def run():
        with pytest.raises(TableError, match=r"sock: No such file or directory$"):
            await table("socketmap:unix:sock:users", tmp_path).ask(["a"])

    asyncio.run(run())
