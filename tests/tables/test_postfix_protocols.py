"""socketmap and tcp_table with real programs: Postfix asks our test server, we ask PostSRSd."""

import asyncio
from urllib.parse import quote, unquote

import pytest
from tests.tables.remote import ask, serving, table
from tools import daemon, peers, postfix

from gatepost.tables.table import TableError

ROWS = {
    "ann@example.com": "Ann",
    "o'brien+a.b%c@example.com": "x y, z%41",
    '"a b:,"@example.com': "10:,",
    "\u00f6@example.com": "\u00e4",
    "x" * 400: "y" * 3000,
}
KEYS = [*ROWS, "bob@example.com", "@example.com"]
BROKEN = "broken@example.com"


async def serve_socketmap(reader, writer):
    """Answer from ROWS; the name of the map must be `users`."""
    while head := await reader.readuntil(b":"):
        content = (await reader.readexactly(int(head[:-1]) + 1))[:-1]
        name, _, key = content.decode().partition(" ")
        assert name == "users"
        found = f"OK {ROWS[key]}" if key in ROWS else "NOTFOUND "
        answer = "TEMP broken" if key == BROKEN else found
        writer.write(b"%d:%b," % (len(answer.encode()), answer.encode()))


async def serve_tcp(reader, writer):
    """Answer from ROWS."""
    while line := await reader.readline():
        key = unquote(line.decode().rstrip("\n").removeprefix("get "))
        found = f"200 {quote(ROWS[key])}" if key in ROWS else "500 not%20found"
        answer = "400 broken" if key == BROKEN else found
        writer.write(f"{answer}\n".encode())


@pytest.fixture(autouse=True)
def _needs_postfix():
    if missing := peers.missing(["postfix"]):
        pytest.skip(missing["postfix"])


@pytest.mark.parametrize(
    ("handler", "spec"),
    [(serve_socketmap, "socketmap:inet:127.0.0.1:{}:users"), (serve_tcp, "tcp:127.0.0.1:{}")],
)
def test_postfix_and_this_client_get_the_same_answers(tmp_path, handler, spec):
    async def run():
        async with serving(handler) as port:
            made = table(spec.format(port), tmp_path)
            ours = await made.ask(KEYS)
            postfixs = [
                await asyncio.to_thread(postfix.look_up, tmp_path, made.name, key) for key in KEYS
            ]
            with pytest.raises(TableError, match="broken"):
                await made.ask([BROKEN])
            await made.stop()
        assert ours == ROWS
        assert dict(zip(KEYS, postfixs, strict=True)) == {key: ROWS.get(key) for key in KEYS}

    asyncio.run(run())


def test_a_socketmap_server_can_be_on_a_unix_socket(tmp_path):
    async def run():
        async with serving(serve_socketmap, tmp_path / "s"):
            made = table("socketmap:unix:s:users", tmp_path)
            assert await made.ask(["ann@example.com"]) == {"ann@example.com": "Ann"}
            await made.stop()

    asyncio.run(run())


def test_postsrsd_rewrites_addresses(tmp_path):
    command = peers.find("postsrsd")
    if command is None:
        pytest.skip(peers.missing(["postsrsd"])["postsrsd"])
    forward, reverse = daemon.free_port(), daemon.free_port()
    (tmp_path / "secret").write_text("secret")
    argv = command.argv(
        *("-4", "-l", "127.0.0.1", "-d", "example.com", "-s", tmp_path / "secret"),
        *("-f", str(forward), "-r", str(reverse)),
    )
    with daemon.running(argv, command.env, tmp_path / "log", lambda: daemon.accepts(reverse)):
        original = "ann@example.org"
        found = ask(table(f"tcp:127.0.0.1:{forward}", tmp_path), original, "ann")
        assert set(found) == {original}
        assert found[original].endswith("@example.com")
        rewritten = found[original]
        back = ask(table(f"tcp:127.0.0.1:{reverse}", tmp_path), rewritten, "SRS0=x=y@example.com")
        assert back == {rewritten: original}
