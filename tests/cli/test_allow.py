"""`gatepost allow add|list|remove`, and what other commands print about entries."""

import json
import time

import pytest
from tests.cli.test_completion import completed

from gatepost.allow.entry import Entry
from gatepost.allow.file import put

DAY = 86400


@pytest.fixture
def site(configure, monkeypatch):
    monkeypatch.setenv("SUDO_USER", "alice")
    return configure("[server]", 'hostname = "mx.example.com"', 'data_dir = "var"')


def add(run, *words):
    return run("allow", "add", *words)


def test_an_entry_is_added_listed_and_removed(site, run):
    now = time.time()
    added = add(run, "192.0.2.0/24", "--until", "30d", "--note", "partner, ticket 12")
    assert (added.exit_code, added.stderr) == (0, "")
    assert added.stdout.startswith("192.0.2.0/24 allowed until 20")
    [one] = json.loads(run("allow", "list", "--json").stdout)
    assert one.pop("until") == pytest.approx(now + 30 * DAY, abs=60)
    assert one.pop("at") == pytest.approx(now, abs=60)
    assert one == {
        "what": "192.0.2.0/24",
        "by": "alice",
        "note": "partner, ticket 12",
        "traps": False,
    }
    assert "partner, ticket 12" in run("allow", "list").stdout
    removed = run("allow", "remove", "192.0.2.0/24")
    assert (removed.exit_code, removed.stdout) == (0, "192.0.2.0/24 is not allowed any more\n")
    assert run("allow", "list").stdout == "Nothing is allowed: gatepost allow add does that\n"


def test_a_second_entry_replaces_the_first(site, run):
    add(run, "Example.com", "--until", "7d", "--note", "one")
    again = add(run, "example.com", "--until", "9d", "--note", "two", "--traps")
    assert "It replaces: example.com until " in again.stdout
    [one] = json.loads(run("allow", "list", "--json").stdout)
    assert (one["note"], one["traps"]) == ("two", True)


@pytest.mark.parametrize(
    ("words", "status", "expected"),
    [
        (["localhost", "--until", "7d", "--note", "x"], 2, "expected an IP address, a network"),
        (["192.0.2.7/24", "--until", "7d", "--note", "x"], 2, "did you mean 192.0.2.0/24?"),
        (["192.0.2.7", "--note", "x"], 2, "--until"),
        (["192.0.2.7", "--until", "7d"], 2, "--note"),
        (["192.0.2.7", "--until", "7d", "--note", " "], 2, "--note: expected a reason"),
        (["192.0.2.7", "--until", "2020-01-01", "--note", "x"], 2, "expected a date to come"),
        (["192.0.2.7", "--until", "soon", "--note", "x"], 2, "such as \"30d\", found 'soon'"),
        (["192.0.2.7", "--until", "30", "--note", "x"], 2, "expected a date to come"),
        (["192.0.2.7", "--until", "400d", "--note", "x"], 2, "--until: expected at most a year"),
        (["to:a@b.example", "--until", "7d", "--note", "x", "--traps"], 2, "--traps: expected"),
        (["10.0.0.0/8", "--until", "7d", "--note", "x"], 1, "use a narrower one, or --force"),
    ],
)
def test_a_wrong_entry_is_refused_with_what_was_expected(site, run, words, status, expected):
    found = add(run, *words)
    assert found.exit_code == status
    assert expected in found.stderr
    assert json.loads(run("allow", "list", "--json").stdout) == []


def test_a_wide_network_is_allowed_with_force(site, run):
    found = add(run, "10.0.0.0/8", "--until", "7d", "--note", "x", "--force")
    assert found.exit_code == 0


def test_what_else_is_allowed_is_a_warning(site, run):
    found = add(run, "outlook.com", "--until", "7d", "--note", "x", "--json")
    assert found.exit_code == 0
    assert "warning: outlook.com is of a big provider" in found.stderr
    assert json.loads(found.stdout)["what"] == "outlook.com"


def test_removing_what_is_not_allowed_fails_with_a_suggestion(site, run):
    add(run, "example.com", "--until", "7d", "--note", "x")
    found = run("allow", "remove", "example.con")
    assert found.exit_code == 1
    assert "example.con is not allowed: did you mean example.com?" in found.stderr
    assert run("allow", "remove", "192.0.2.1").stderr.endswith("192.0.2.1/32 is not allowed\n")


def test_entries_are_completed(site, run):
    add(run, "example.com", "--until", "7d", "--note", "x")
    add(run, "192.0.2.0/24", "--until", "7d", "--note", "x")
    assert completed(["allow", "remove"], "") == ["192.0.2.0/24", "example.com"]
    assert completed(["allow", "remove"], "e") == ["example.com"]
    assert completed(["allow", "remove", "-c", "missing.toml"], "") == []


def test_a_damaged_file_is_an_error_that_names_the_line(site, run):
    add(run, "example.com", "--until", "7d", "--note", "x")
    with (site / "var" / "allowed").open("a") as out:
        out.write("damaged\n")
    for words in (
        ["list"],
        ["remove", "example.com"],
        ["add", "a.b", "--until", "7d", "--note", "x"],
    ):
        found = run("allow", *words)
        assert found.exit_code == 1
        assert "allowed:3: expected an entry, as `gatepost allow` writes it" in found.stderr
    assert "allowed:3: expected an entry" in run("check").stderr


def test_a_folder_that_cannot_be_written_is_an_error(site, run):
    (site / "var").write_text("")
    found = add(run, "example.com", "--until", "7d", "--note", "x")
    assert found.exit_code == 1
    assert "var" in found.stderr


RULE = """
from gatepost import Plugin, deny

class Rule(Plugin):
    def on_mail(self, tx, sender):
        return deny("no", reason="listed")
"""


def test_try_honours_the_entries(configure, run):
    site = configure(
        '[server]\nhostname = "mx.example.com"\ndata_dir = "var"', '[[plugin]]\nuse = "rule.py"'
    )
    (site / "rule.py").write_text(RULE)
    words = ["try", "--ip", "192.0.2.7", "--from", "a@example.org", "--to", "bob@example.com"]
    assert "550 5.7.1 no" in run(*words).stdout
    now = time.time()
    entry = Entry("192.0.2.0/24", now + DAY, now, "alice", "ticket 12")
    put(site / "var", entry, pending=False)
    tried = run(*words)
    assert tried.exit_code == 0
    assert "550" not in tried.stdout
