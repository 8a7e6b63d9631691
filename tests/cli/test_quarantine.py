"""`gatepost queue` and messages in quarantine."""

import getpass
import json
from pathlib import Path

import pytest
from tests.queue.spool.samples import NOW, facts, new_message, put, recipient, store_at

from gatepost.queue.spool import changes

LEARNER = """
from gatepost import Plugin

class Learner(Plugin):
    def start(self):
        self.log_file = self.path("learned").open("a")

    async def on_learn(self, tx, kind):
        if kind == "ham":
            raise ValueError("no ham today")
        content = b"".join(tx.message.content()) + b"".join(tx.message.content())
        to = ",".join(str(one.address) for one in tx.recipients)
        self.log_file.write(f"{kind} {tx.id} {to} {len(content)} {tx.message.size}\\n")

    def stop(self):
        self.log_file.close()
"""
ROUTE = '[[route]]\nfor = ["two.example"]\nto = "discard:"'


def held(address, **more):
    known = {"reason": "virus", "holder": "clamav", "held": NOW} | more
    return recipient(address, "", due=None, **known)


@pytest.fixture
def spool(configure):
    """A file with two messages in quarantine, for three recipients, and one that has failed."""
    folder = configure(ROUTE, '[[plugin]]\nuse = "learner.py"')
    (folder / "learner.py").write_text(LEARNER)
    spool = folder / "var/spool"
    spool.mkdir(parents=True)
    with store_at(spool / "1.db") as store:
        put(
            store,
            new_message(held("a@one.example"), held("b@two.example"), of=facts("s-1.1")),
            new_message(held("c@two.example", reason="spam", holder="rspamd", held=NOW + 1e10)),
            new_message(recipient("d@one.example", due=None, reason="No")),
        )
    return spool


def listed(run, *options):
    result = run("queue", "list", "--json", *options)
    assert result.exit_code == 0, result.stderr
    return [one["recipient"].partition("@")[0] for one in json.loads(result.stdout)]


def noted(spool):
    with store_at(spool / "1.db") as store:
        _, found = changes.read_changes(store.connection, 100)
        copies = changes.read_copies(store.connection, 100)
    return [(one.kind, one.author, one.detail, *one.recipients) for one in found], copies


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--held"], "a b c d"),
        (["--held", "--plugin", "*"], "a b c"),
        (["--plugin", "clam*"], "a b"),
        (["--reason", "VIRUS"], "a b"),
        (["--reason", "n*"], "d"),
        (["--older", "1d"], "a b d"),
        (["--older", "36500d"], ""),
        (["--to", "*@two.example", "--from", "sender@*"], "b c"),
    ],
)
def test_list_selects_by_reason_plugin_and_age(run, spool, options, expected):
    assert listed(run, *options) == expected.split()


@pytest.mark.parametrize(
    ("options", "problem"),
    [(["--older", "soon"], "--older: expected"), (["--held", "--state", "queued"], "--held or")],
)
def test_wrong_options_are_usage_errors(run, spool, options, problem):
    result = run("queue", "list", *options)
    assert result.exit_code == 2
    assert problem in result.stderr


def test_list_and_show_have_the_reason_the_plugin_and_the_time(run, spool):
    assert "    virus (clamav)" in run("queue", "list").stdout
    assert "held      since 2023-11-14T22:13:20Z (clamav)" in run("queue", "show", "1-1").stdout
    [first, *_] = json.loads(run("queue", "list", "--json").stdout)
    assert (first["reason"], first["plugin"], first["ref"]) == ("virus", "clamav", "s-1.1")
    assert first["held"] == "2023-11-14T22:13:20Z"


def test_release_is_for_chosen_recipients_and_has_an_author(run, spool):
    assert run("queue", "release", "1-1", "--to", "a@*").stdout == "1 recipient released\n"
    assert listed(run, "--held") == ["b", "c", "d"]
    [(kind, author, *rest)], _ = noted(spool)
    assert (kind, author, rest) == ("released", getpass.getuser(), ["", "a@one.example"])


@pytest.mark.parametrize(
    "command", [["release"], ["remove"], ["forward", "x@two.example"], ["learn", "spam"]]
)
def test_a_dry_run_lists_what_would_change(run, spool, command):
    result = run("queue", *command, "--plugin", "clamav", "--dry-run", "--json")
    assert [one["recipient"][0] for one in json.loads(result.stdout)] == ["a", "b"]
    assert "a@one.example" in run("queue", *command, "1-1", "--dry-run").stdout
    assert run("queue", *command, "9-9", "--dry-run").stdout == "No matching mail\n"
    assert listed(run) == ["a", "b", "c", "d"]
    assert noted(spool) == ([], [])


@pytest.mark.parametrize(("options", "moves"), [([], True), (["--keep"], False)])
def test_forward_leaves_a_copy_for_the_server_to_send(run, spool, options, moves):
    result = run("queue", "forward", "Admin+x@two.example", "1-1", *options)
    assert result.stdout == "2 recipients will be sent to Admin+x@two.example\n"
    _, [copy] = noted(spool)
    detail = json.loads(copy.detail)
    assert (copy.moves, detail["user"], detail["params"]) == (moves, "admin", {"NOTIFY": "NEVER"})


@pytest.mark.parametrize(
    ("address", "status", "problem"),
    [
        ("x@elsewhere.example", 1, "no route for x@elsewhere.example"),
        ("x", 2, "x: "),
        ("x@@", 2, "x@@: "),
    ],
)
def test_forward_needs_an_address_with_a_route(run, spool, address, status, problem):
    result = run("queue", "forward", address, "1-1")
    assert result.exit_code == status
    assert problem in result.stderr


def test_plugins_learn_each_message_once(run, spool):
    result = run("queue", "learn", "spam", "--plugin", "*")
    assert result.stdout == "1-1: learned as spam by learner\n1-2: learned as spam by learner\n"
    assert Path("learned").read_text() == (
        "spam s-1.1 a@one.example,b@two.example 42 21\nspam s-1.1 c@two.example 42 21\n"
    )
    found, _ = noted(spool)
    assert [(kind, detail) for kind, _, detail, *_ in found] == [
        ("learned", "as spam by learner")
    ] * 2
    assert listed(run) == ["a", "b", "c", "d"]


def test_a_plugin_that_fails_is_named_and_nothing_is_noted(run, spool):
    result = run("queue", "learn", "ham", "1-1", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)[0]["plugin"] == "learner"
    assert "1-1: learner: " in result.stderr
    assert "no ham today" in result.stderr
    assert noted(spool) == ([], [])


def test_learning_needs_a_plugin_that_learns(run, spool):
    Path("gatepost.toml").write_text(Path("gatepost.toml").read_text().partition("[[plugin]]")[0])
    text = Path("gatepost.toml").read_text()
    if "[[listen]]" not in text:
        text += '[[listen]]\n[recipients]\ndomains = ["example.com"]\n'
    Path("gatepost.toml").write_text(text)
    result = run("queue", "learn", "spam", "1-1")
    assert result.exit_code == 1
    assert "no plugin of this configuration learns" in result.stderr


def test_an_unknown_message_is_an_error(run, spool):
    for command in (["release"], ["learn", "spam"], ["forward", "x@two.example"]):
        result = run("queue", *command, "7-7")
        assert result.exit_code == 1
        assert "7-7: no such message" in result.stderr


def test_a_file_of_an_earlier_version_can_be_listed_but_not_changed(run, spool):
    with store_at(spool / "1.db") as store:
        store.connection.executescript(
            "DROP TABLE change; DROP INDEX recipient_quarantined;"
            "ALTER TABLE recipient DROP COLUMN holder; ALTER TABLE recipient DROP COLUMN held;"
            "PRAGMA user_version = 4"
        )
    assert listed(run) == ["a", "b", "c", "d"]
    result = run("queue", "release", "1-1")
    assert result.exit_code == 1
    assert "start the server, which upgrades the file" in result.stderr
