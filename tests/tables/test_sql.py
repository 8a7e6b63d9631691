"""Tables in SQL databases: SQLite, and a real PostgreSQL."""

import asyncio
import contextlib
import sqlite3

import pytest
from structlog.testing import capture_logs
from tests.tables.remote import ask, table
from tools import postgresql

from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.tables.cached import FAILURES, PAUSE, CachedTable
from gatepost.tables.spec import TableSpecError
from gatepost.tables.table import TableError

ROWS = [
    ("ann@example.com", "ann"),
    ("o'brien@example.com", "o"),
    ("list@example.com", "ann@example.com"),
    ("list@example.com", "bob@example.com"),
    ("none@example.com", None),
    ("\u00f6@example.com", "\u00e4"),
]
FOUND = {
    "ann@example.com": "ann",
    "o'brien@example.com": "o",
    "list@example.com": "ann@example.com, bob@example.com",
    "none@example.com": "",
    "\u00f6@example.com": "\u00e4",
}
HOSTILE = [
    "x' or '1'='1",
    "x'); drop table users; --",
    '"@example.com',
    "\\'@example.com",
    ":keys",
    "%s%(x)s$1?",
    "%",
    "_@example.com",
    "a\0b",
    "\ud800",
]
CREATE = "create table users (address text not null, target text, id integer default 7)"
INSERT = "insert into users (address, target) values "
QUERY = "SELECT address, target FROM users WHERE address IN :keys ORDER BY target"


def sqlite(folder, rows=ROWS):
    with contextlib.closing(sqlite3.connect(folder / "users.db")) as database, database:
        database.execute(CREATE)
        database.executemany(f"{INSERT} (?, ?)", rows)
    return "sqlite+aiosqlite:///users.db"


@pytest.fixture(scope="module")
def server():
    if reason := postgresql.why_not():
        pytest.skip(reason)
    values = ", ".join(
        f"($${address}$$, {'null' if target is None else f'$${target}$$'})"
        for address, target in ROWS
    )
    with postgresql.running(f"{CREATE}; {INSERT} {values}") as running:
        yield running


@pytest.fixture
def password(tmp_path):
    (tmp_path / "password").write_text(f"{postgresql.PASSWORD}\n")


@pytest.fixture(params=["sqlite", "postgresql"])
def make(request, tmp_path):
    """A function that makes a table of a database with ROWS."""
    if request.param == "sqlite":
        url = sqlite(tmp_path)
        return lambda query=QUERY: table("sql:u", tmp_path, sql={"u": {"url": url, "query": query}})
    request.getfixturevalue("password")
    running = request.getfixturevalue("server")
    return lambda query=QUERY: over(running, tmp_path, query=query)


def over(server, folder, **options):
    """A table of the PostgreSQL."""
    section = {"url": server.url, "query": QUERY, "password_file": "password", **options}
    return table("sql:u", folder, sql={"u": section})


def test_found_keys_have_their_values_from_one_query(make):
    assert ask(make(), *FOUND, "bob@example.com", "@example.com") == FOUND


@pytest.mark.parametrize("count", [1, 2, 3, 5, 100])
def test_any_number_of_keys_is_one_query(make, count):
    keys = [*(f"{number}@example.com" for number in range(count - 1)), "ann@example.com"]
    assert ask(make(), *keys) == {"ann@example.com": "ann"}


def test_keys_are_never_part_of_the_statement(make):
    made = make()
    assert ask(made, *HOSTILE, "ann@example.com") == {"ann@example.com": "ann"}
    for key in HOSTILE:
        assert ask(make(), key) == {}
    assert ask(make(), "ann@example.com") == {"ann@example.com": "ann"}


def test_a_query_with_one_column_has_empty_values(make):
    made = make("SELECT address FROM users WHERE address IN :keys")
    assert ask(made, "ann@example.com", "bob@example.com") == {"ann@example.com": ""}


def test_a_value_can_be_a_number(make):
    made = make("SELECT address, id FROM users WHERE address in\n :keys")
    assert ask(made, "ann@example.com", "bob@example.com") == {"ann@example.com": "7"}


@pytest.mark.parametrize(
    "query",
    [
        "SELECT target, address FROM users WHERE address IN :keys",
        "SELECT 1, address FROM users WHERE address IN :keys",
        "SELECT upper(address), address FROM users WHERE address IN :keys",
        "SELECT 'x' || address, address FROM users WHERE address IN :keys",
    ],
)
def test_a_row_that_does_not_begin_with_its_key_still_belongs_to_it(make, query):
    keys = ["ann@example.com", "o'brien@example.com", "bob@example.com", "@example.com"]
    assert ask(make(query), *keys) == {key: key for key in keys[:2]}


def test_the_database_decides_which_keys_are_equal(make):
    made = make("SELECT address, target FROM users WHERE 'X' || address IN :keys")
    assert ask(made, "Xann@example.com", "bob@example.com") == {"Xann@example.com": "ann"}


def test_keys_that_differ_only_in_letter_case_are_different_where_the_database_has_letter_case(
    make,
):
    for keys in (("ANN@example.com", "ann@example.com"), ("ann@example.com", "Ann@example.com")):
        assert ask(make(), *keys) == {"ann@example.com": "ann"}


def test_keys_that_differ_only_in_letter_case_are_equal_where_the_database_ignores_it(tmp_path):
    query = "SELECT address, target FROM users WHERE address COLLATE NOCASE IN :keys"
    section = {"url": sqlite(tmp_path), "query": query}
    keys = ("ANN@example.com", "ann@example.com", "Ann@Example.com", "bob@example.com")
    found = ask(table("sql:u", tmp_path, sql={"u": section}), *keys)
    assert found == dict.fromkeys(keys[:3], "ann")


def test_too_many_rows_are_an_error(make):
    made = make(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001)"
        " SELECT address FROM users, n WHERE address IN :keys"
    )
    with pytest.raises(TableError, match="expected at most 10000 rows"):
        ask(made, "ann@example.com")


def test_the_error_of_a_wrong_query_has_neither_its_text_nor_keys(make):
    with pytest.raises(TableError) as found:
        ask(make("SELECT secret FROM nowhere WHERE x IN :keys"), "ann@example.com")
    assert "nowhere" in str(found.value)
    assert "ann@" not in str(found.value)
    assert "secret" not in str(found.value)


def test_a_missing_sqlite_file_is_an_error_and_is_not_created(tmp_path):
    section = {"url": "sqlite+aiosqlite:///none.db", "query": QUERY}
    with pytest.raises(TableError, match="unable to open database file"):
        ask(table("sql:u", tmp_path, sql={"u": section}), "ann@example.com")
    assert list(tmp_path.iterdir()) == []


def test_an_sqlite_file_is_opened_for_reading(tmp_path):
    section = {
        "url": sqlite(tmp_path),
        "query": "DELETE FROM users WHERE address IN :keys RETURNING address",
    }
    with pytest.raises(TableError, match="readonly"):
        ask(table("sql:u", tmp_path, sql={"u": section}), "ann@example.com")


def test_a_sqlite_file_with_special_characters_in_its_name(tmp_path):
    folder = tmp_path / "a b?c#d%41"
    folder.mkdir()
    section = {"url": sqlite(folder), "query": QUERY}
    made = table("sql:u", folder, sql={"u": section})
    assert ask(made, "ann@example.com") == {"ann@example.com": "ann"}


def test_a_wrong_password_is_an_error_without_the_password(server, tmp_path):
    (tmp_path / "password").write_text("wrong-one\n")
    with pytest.raises(TableError, match="password authentication failed") as found:
        ask(over(server, tmp_path), "ann@example.com")
    assert "wrong-one" not in str(found.value)


def test_the_password_can_be_in_the_url(server, tmp_path):
    url = server.url.replace("@", ":pass%2Fword@")
    section = {"url": url, "query": QUERY}
    made = table("sql:u", tmp_path, sql={"u": section})
    assert ask(made, "ann@example.com") == {"ann@example.com": "ann"}


@pytest.mark.usefixtures("password")
def test_a_restart_of_the_server_between_two_queries_is_not_noticed(tmp_path):
    if reason := postgresql.why_not():
        pytest.skip(reason)
    with postgresql.running(f"{CREATE}; {INSERT} ('ann@example.com', 'ann')") as server:

        async def run():
            made = over(server, tmp_path)
            for _ in range(3):
                assert await made.ask(["ann@example.com"]) == {"ann@example.com": "ann"}
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
            await made.stop()

        asyncio.run(run())


@pytest.mark.usefixtures("password")
@pytest.mark.parametrize("trouble", ["kill", "suspend"])
def test_an_outage_is_reported_once_and_ends_when_the_server_is_back(tmp_path, caplog, trouble):
    if reason := postgresql.why_not():
        pytest.skip(reason)
    with postgresql.running(f"{CREATE}; {INSERT} ('ann@example.com', 'ann')") as server:

        async def run():
            now = [100.0]
            made = over(server, tmp_path)
            cached = CachedTable(made, VirtualClock(), 0.0, monotonic=lambda: now[0])
            assert await cached.ask(["ann@example.com"]) == {"ann@example.com": "ann"}
            await asyncio.to_thread(getattr(server, trouble))
            made.timeout = 0.05
            for _ in range(FAILURES + 2):
                with pytest.raises(TableError):
                    await cached.ask(["ann@example.com"])
            await asyncio.to_thread(server.start if trouble == "kill" else server.resume)
            made.timeout = 30.0
            now[0] += PAUSE
            assert await cached.ask(["ann@example.com"]) == {"ann@example.com": "ann"}
            await cached.stop()

        with capture_logs() as logs:
            asyncio.run(run())
    assert [line["event"] for line in logs] == ["table unavailable", "table available"]
    assert caplog.records == []


@pytest.mark.usefixtures("password")
def test_a_server_that_hangs_does_not_keep_a_query_or_the_stop_waiting(tmp_path):
    if reason := postgresql.why_not():
        pytest.skip(reason)
    with postgresql.running(f"{CREATE}; {INSERT} ('ann@example.com', 'ann')") as server:

        async def run():
            made = over(server, tmp_path)
            assert await made.ask(["ann@example.com"]) == {"ann@example.com": "ann"}
            await asyncio.to_thread(server.suspend)
            for _ in range(4):  # more than there are connections
                waiting = asyncio.create_task(made.ask(["ann@example.com"]))
                await asyncio.wait([waiting], timeout=0.05)
                waiting.cancel()
                await asyncio.wait([waiting])
                assert waiting.cancelled()
            await made.stop()

        asyncio.run(run())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"url": "postgresql://h/d"}, "driver psycopg2? is not installed"),
        ({"url": "sqlite:///x"}, "expected a driver for asyncio"),
        ({"url": "nothing+x://h/d"}, "expected a driver for asyncio"),
        ({"url": "mysql+asyncmy://h/d"}, "pip install asyncmy"),
        ({"url": "postgresql+asyncpg://u:hidden@h:x/d"}, "expected a URL"),
        ({"query": "SELECT 1"}, "expected IN :keys"),
        ({"query": "SELECT a FROM t WHERE a = :keys"}, "expected IN :keys"),
        ({"query": "SELECT a FROM t WHERE a IN :keys AND b = :b"}, "expected IN :keys"),
        ({"password_file": "none"}, "cannot be read"),
    ],
)
def test_wrong_options_are_an_error_at_start(tmp_path, options, expected):
    section = {"url": "sqlite+aiosqlite:///x.db", "query": QUERY, **options}
    with pytest.raises(TableSpecError, match=expected) as found:
        table("sql:u", tmp_path, sql={"u": section})
    assert "hidden" not in str(found.value)
