"""The table of a Dovecot's users, with a real Dovecot."""

import asyncio

import pytest
from tests.tables.remote import ask, table
from tools import dovecot

from gatepost.tables.table import TableError

USERS = ["ann@example.com", "b.o-brien_x@example.com"]
HOSTILE = ["a\tservice=x@example.com", "*@example.com", "%u@example.com", "' or 1=1@example.com"]


@pytest.fixture(scope="module")
def server():
    if reason := dovecot.why_not():
        pytest.skip(reason)
    with dovecot.running(users=USERS) as running:
        yield running


def spec(server):
    return f"dovecot:unix:{server.folder}/run/auth-userdb"


def test_users_are_found_with_their_names(server, tmp_path):
    keys = [*USERS, "ANN@example.com", "bob@example.com", "@example.com", *HOSTILE]
    found = ask(table(spec(server), tmp_path), *keys)
    assert found == {**dict(zip(USERS, USERS, strict=True)), "ANN@example.com": "ann@example.com"}


def test_many_users_are_found_on_one_connection(server, tmp_path):
    keys = [*USERS, *(f"user{number}@example.com" for number in range(100))]
    assert (
        ask(table(spec(server), tmp_path), *keys, times=3)
        == [dict(zip(USERS, USERS, strict=True))] * 3
    )


def test_a_domain_is_no_user_even_if_every_user_exists(tmp_path):
    if reason := dovecot.why_not():
        pytest.skip(reason)
    with dovecot.running() as server:
        found = ask(table(spec(server), tmp_path), "any@example.com", "@example.com")
    assert found == {"any@example.com": "any@example.com"}


def test_a_failing_user_database_is_an_error_and_leaves_the_connection_usable(tmp_path):
    if reason := dovecot.why_not():
        pytest.skip(reason)

    async def run(server):
        made = table(spec(server), tmp_path)
        await made.ask(["ann@example.com"])  # Dovecot 2.3 reports the first error as not found
        with pytest.raises(TableError, match="Dovecot reports an error"):
            await made.ask(["not+possible@example.com", "ann@example.com", "bob@example.com"])
        assert await made.ask(["not+possible@example.com"]) == {}
        await made.stop()

    with dovecot.running(users=USERS) as server:
        (server.folder / "users").unlink()
        asyncio.run(run(server))


def test_another_socket_of_dovecot_is_an_error(server, tmp_path):
    wrong = f"dovecot:unix:{server.folder}/run/anvil"
    with pytest.raises(TableError):
        ask(table(wrong, tmp_path), "ann@example.com")
