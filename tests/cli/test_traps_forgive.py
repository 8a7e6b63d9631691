"""`gatepost traps forgive` removes senders from the memory of trap hits."""

import asyncio
import json

import pytest
from tests.checks.replays import configuration, kept, message, recorded, session

from gatepost.store.opening import open_store

CONFIG = """
[server]
hostname = "mx.example.com"
data_dir = "."
[[listen]]
address = "127.0.0.1:2525"
[recipients]
domains = ["example.com"]
[[route]]
to = "discard:"
[[plugin]]
use = "spf"
[[plugin]]
use = "trap_memory"
[[plugin]]
use = "trap_probes"
[[plugin]]
use = "standing"
name = "mine"
"""
NETWORK = "2cb0071"  # 203.0.113.0/24


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "gatepost.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keys(folder, action, *named):
    """Set or get keys of plugins in the store of the server."""

    async def run():
        store = open_store("local", folder=folder / "store", timeout=60)
        try:
            found = []
            for plugin, key in named:
                scope = store.scope(plugin)
                found.append(await (scope.set(key, 1) if action == "set" else scope.get(key)))
            return found
        finally:
            await store.close()

    return asyncio.run(run())


def test_a_network_is_forgiven_by_the_address_of_a_client(run, folder):
    keys(folder, "set", ("trap_memory", NETWORK))
    result = run("traps", "forgive", "203.0.113.9")
    assert (result.exit_code, result.stdout) == (0, "203.0.113.9: forgiven\n")
    assert keys(folder, "get", ("trap_memory", NETWORK)) == [None]


def test_a_domain_is_forgiven_by_both_plugins(run, folder):
    stored = (("trap_memory", "dclient.example"), ("mine", "bad client.example"))
    keys(folder, "set", *stored)
    result = run("traps", "forgive", "Client.Example.")
    assert (result.exit_code, result.stdout) == (0, "client.example: forgiven\n")
    assert keys(folder, "get", *stored) == [None, None]


def test_a_reference_stands_for_its_client_and_sender(run, folder):
    mail = session(message("user@example.com", sender="a@client.example"))
    records = recorded(configuration(folder), mail, peer=("203.0.113.9", 4711))
    kept(folder / "ledger", records)
    keys(folder, "set", ("trap_memory", NETWORK), ("trap_memory", "dclient.example"))
    result = run("traps", "forgive", "--json", records[0].ref)
    assert json.loads(result.stdout) == [
        {"name": "203.0.113.9", "deleted": 1},
        {"name": "client.example", "deleted": 1},
    ]


def test_a_flag_of_a_search_for_traps_is_removed(run, folder):
    stored = (("trap_probes", f"flag {NETWORK}"), ("trap_probes", "flag dclient.example"))
    keys(folder, "set", *stored)
    assert run("traps", "forgive", "203.0.113.9", "client.example").exit_code == 0
    assert keys(folder, "get", *stored) == [None, None]


def test_nothing_on_record_is_a_failure(run, folder):
    result = run("traps", "forgive", "198.51.100.0/24", "other.example")
    assert result.exit_code == 1
    assert result.stdout == "198.51.100.0/24: nothing on record\nother.example: nothing on record\n"


@pytest.mark.parametrize(
    ("what", "code", "problem"),
    [
        (
            "nonsense",
            2,
            "expected a reference, an IP address, a network or a domain, found 'nonsense'",
        ),
        ("0123abcd-1.1", 1, "no ledger"),
    ],
)
def test_what_cannot_be_found_is_an_error(run, folder, what, code, problem):
    result = run("traps", "forgive", what)
    assert result.exit_code == code
    assert problem in result.stderr


def test_a_store_in_memory_cannot_be_changed(run, folder):
    (folder / "gatepost.toml").write_text(CONFIG + '[store]\nurl = "memory"\n')
    result = run("traps", "forgive", "client.example")
    assert result.exit_code == 1
    assert "lose everything at a restart" in result.stderr
