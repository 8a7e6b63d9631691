"""`gatepost traps correspondents`: what your users have written to, from logs and programs."""

import asyncio
import gzip
import json
import time

import pytest
from tests.plugins.states import make_transaction

from gatepost.cli.shared import correspondents
from gatepost.plugins.standing import Standing
from gatepost.store.opening import open_store

DAY = 86400
TABLES = ['[server]\nhostname = "mx.example.com"\ndata_dir = "."']
STANDING = '[[plugin]]\nuse = "standing"'


def exim(*recipients, age=1, sender="ann@example.com"):
    """Return the lines of a message that a user sent some days ago."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - age * DAY))
    id_ = f"1j5PqR-0001Ab-{age % 100:02}"
    return (
        f"{stamp} {id_} <= {sender} H=pc.example.com [192.0.2.7] P=esmtpsa A=plain:ann S=99\n"
        + "".join(f"{stamp} {id_} => {one} R=dnslookup T=remote_smtp\n" for one in recipients)
        + f"{stamp} {id_} Completed\n"
    )


@pytest.fixture
def folder(configure):
    return configure(*TABLES, STANDING)


@pytest.fixture
def log(folder):
    path = folder / "mainlog"
    path.write_text(exim("bob@example.org", "carl@example.net"))
    return path


def stored(folder, *addresses, name="standing", write=None):
    """Return the values of addresses in the store of the server; `write` sets them before."""

    async def run():
        store = open_store("local", folder=folder / "store", timeout=60)
        scope = store.scope(name)
        try:
            for one in addresses if write is not None else ():
                await scope.set(f"sent {one}", write)
            return [await scope.get(f"sent {one}") for one in addresses]
        finally:
            await store.close()

    return asyncio.run(run())


def imported(run, *arguments):
    result = run("traps", "correspondents", "import", "--json", *arguments)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_the_recipients_of_users_are_recorded(run, folder, log):
    found = imported(run, "--log", log)
    assert (found["addresses"], found["new"], found["messages"]) == (2, 2, 1)
    assert found["log"]["formats"] == ["exim"]
    [bob, nobody] = stored(folder, "bob@example.org", "nobody@example.org")
    assert nobody is None
    assert 0 < time.time() - bob - DAY < 1000


def test_a_second_import_changes_nothing(run, folder, log):
    imported(run, "--log", log)
    found = imported(run, "--log", log)
    assert (found["new"], found["renewed"], found["unchanged"]) == (0, 0, 2)


def test_a_later_message_renews_an_address_and_an_earlier_one_does_not(run, folder, log):
    now = int(time.time())
    stored(folder, "carl@example.net", write=now)
    stored(folder, "bob@example.org", write=now - 9 * DAY)
    found = imported(run, "--log", log)
    assert (found["new"], found["renewed"], found["unchanged"]) == (0, 1, 1)
    assert stored(folder, "carl@example.net") == [now]


def test_a_dry_run_writes_nothing(run, folder, log):
    found = imported(run, "--log", log, "--dry-run")
    assert (found["addresses"], found["new"], found["dry_run"]) == (2, 0, True)
    assert not (folder / "store").exists()


def test_addresses_that_are_not_trusted_any_more_are_counted(run, folder):
    path = folder / "mainlog"
    path.write_text(exim("old@example.org", age=400) + exim("new@example.org", age=2))
    found = imported(run, "--log", path)
    assert (found["addresses"], found["expired"], found["new"]) == (2, 1, 1)


def test_the_text_has_every_number(run, folder, log):
    result = run("traps", "correspondents", "import", "--log", log)
    assert result.exit_code == 0
    lines = [line.rsplit(maxsplit=1) for line in result.stdout.splitlines()]
    assert [line for line in lines if line[1] != "0"] == [
        ["lines of the log", "4"],
        ["messages of your users", "1"],
        ["addresses written to", "2"],
        ["  recorded", "2"],
    ]


def test_several_compressed_files_are_read(run, folder):
    first, second = folder / "a.gz", folder / "b"
    first.write_bytes(gzip.compress(exim("bob@example.org", age=3).encode()))
    second.write_text(exim("carl@example.net"))
    assert imported(run, "--log", first, second, "--format", "exim")["new"] == 2


def test_every_plugin_standing_gets_the_addresses_that_it_trusts(run, configure):
    more = STANDING + '\nname = "short"\noptions = { correspondents = "2d" }'
    folder = configure(*TABLES, STANDING, more)
    path = folder / "mainlog"
    path.write_text(exim("bob@example.org", age=3) + exim("carl@example.net", age=1))
    assert imported(run, "--log", path)["new"] == 2
    found = stored(folder, "bob@example.org", "carl@example.net", name="short")
    assert [one is None for one in found] == [True, False]


def test_a_sender_that_looks_like_an_identifier_is_a_warning(run, folder):
    path = folder / "mainlog"
    path.write_text(exim("bob@example.org", sender="20110601093015.ga12345@example.com"))
    result = run("traps", "correspondents", "import", "--log", path)
    assert "20110601093015.ga12345@example.com looks like a message identifier" in result.stderr


def test_too_many_addresses_are_a_warning(run, folder, log, monkeypatch):
    monkeypatch.setattr(correspondents, "MOST", 1)
    result = run("traps", "correspondents", "import", "--log", log)
    assert "1 addresses are too many" in result.stderr


def test_a_program_adds_addresses(run, folder):
    arguments = ("bob@example.org", "-", "ann@example.com")
    result = run(
        "traps", "correspondents", "add", *arguments, text="c@example.net\nD@example.net\n"
    )
    assert result.exit_code == 0
    found = stored(folder, "bob@example.org", "d@example.net", "ann@example.com")
    assert [one is None for one in found] == [False, False, True]


def test_the_plugin_trusts_what_was_added(run, folder):
    run("traps", "correspondents", "add", "A@Client.example")

    async def standing_of(sender):
        store, plugin = open_store("local", folder=folder / "store", timeout=60), Standing()
        plugin.store = store.scope("standing")
        tx = make_transaction(sender)
        tx.results.add("spf", "pass")
        try:
            await plugin.on_mail(tx, tx.reverse_path)
            return tx.results.value("standing")
        finally:
            await store.close()

    assert asyncio.run(standing_of("a@client.example")) == "trusted"
    assert asyncio.run(standing_of("b@client.example")) == "stranger"


def test_what_is_added_is_printed_as_json(run, folder):
    result = run("traps", "correspondents", "add", "bob@example.org", "--json", "--dry-run")
    assert json.loads(result.stdout) == {
        "addresses": 1,
        "expired": 0,
        "new": 0,
        "renewed": 0,
        "unchanged": 0,
        "dry_run": True,
    }


PROBLEMS = {
    "no plugin": (TABLES, "expected [[plugin]] with use"),
    "switched off": (
        [*TABLES, STANDING + '\noptions = { correspondents = "0s" }'],
        "expected [[plugin]] with use",
    ),
    "wrong option": ([*TABLES, STANDING + "\noptions = { x = 1 }"], "x"),
    "memory": ([*TABLES, STANDING, '[store]\nurl = "memory"'], "store.url is memory"),
    "no domain": ([*TABLES, STANDING, "[recipients]\ndomains = []"], "expected your domains"),
    "no list": (
        [*TABLES, STANDING, '[recipients]\ndomains = ["file:missing"]'],
        "missing",
    ),
    "unknown user": (
        [TABLES[0] + '\nuser = "no-such-user"', STANDING],
        "unknown user no-such-user",
    ),
    "another user": ([TABLES[0] + '\nuser = "daemon"', STANDING], "belongs to daemon"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_configuration_without_use_for_addresses_is_an_error(run, configure, name):
    tables, problem = PROBLEMS[name]
    configure(*tables)
    result = run("traps", "correspondents", "add", "bob@example.org")
    assert (result.exit_code, problem in result.stderr) == (1, True), result.stderr


@pytest.mark.parametrize("text", ["nobody", "a b@example.org"])
def test_text_that_is_no_address_is_wrong_usage(run, folder, text):
    assert run("traps", "correspondents", "add", text).exit_code == 2


def test_logs_that_cannot_be_read_are_errors(run, folder):
    (folder / "text").write_text("no log\n" * 50)
    for name, problem in (("missing", "No such file"), ("text", "expected a log of")):
        result = run("traps", "correspondents", "import", "--log", name)
        assert (result.exit_code, problem in result.stderr) == (1, True)
