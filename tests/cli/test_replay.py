"""`gatepost replay`: the command, its options, and what an interrupt prints."""

import json
import re
import subprocess
import sys

import pytest
from tests.cli.ledgers import write
from tests.cli.test_terminal import on_terminal
from tests.ledger.mail_records import ACCEPTED, MORNING

NEW = """
[[listen]]
[recipients]
domains = ["example.com"]
[traps]
lists = ["new-traps"]
[[route]]
to = "discard:"
"""
INTERRUPTING = """
import signal
from gatepost import Plugin

class Interrupting(Plugin):
    def on_mail(self, tx, sender):
        signal.raise_signal(signal.SIGINT)
"""


@pytest.fixture
def new(ledger):
    """A second configuration next to the ledger, with more traps."""
    (ledger / "new-traps").write_text("trap@example.com\nbob@example.com left in 2019\n")
    (ledger / "new.toml").write_text(NEW)
    return ledger / "new.toml"


def found(run, *options):
    result = run("replay", "--json", *options)
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_the_result_as_json(run, new):
    result = found(run, "-c", "new.toml")
    assert (result["transactions"], result["unchanged"], result["sessions"]) == (3, 1, 2)
    assert [one["reason"] for one in result["refused"]] == ["trap"]
    assert result["accepted"] == []
    assert [one["subject"] for one in result["reply"]] == ["message"]


@pytest.mark.parametrize(
    ("options", "transactions"),
    [
        (["--from", "alice@example.org"], 1),
        (["--to", "trap@example.com"], 1),
        (["--ip", "203.0.113.0/24"], 1),
        (["--since", "4m"], 2),
        (["--since", "1h", "--until", "4m"], 1),
        (["--limit", "2"], 1),
    ],
)
def test_options_select_the_records(run, new, options, transactions):
    assert found(run, *options)["transactions"] == transactions


def test_records_of_another_folder(run, new):
    write(ACCEPTED, folder=new.parent / "other")
    assert found(run, "--ledger", "other")["transactions"] == 1


def test_a_folder_without_a_ledger_is_an_error(run, new):
    result = run("replay", "--ledger", "none")
    assert result.exit_code == 1
    assert result.stderr.startswith("gatepost: none: no ledger:")


def test_an_end_before_the_start_is_wrong_usage(run, new):
    result = run("replay", "--since", "1h", "--until", "2h")
    assert result.exit_code == 2
    assert result.stderr == "gatepost: --until: expected a time after --since\n"


def test_a_configuration_that_cannot_start_is_an_error(run, new):
    new.write_text(NEW + '[[plugin]]\nuse = "none.py"\n')
    result = run("replay", "-c", "new.toml")
    assert result.exit_code == 1
    assert "none.py" in result.stderr


def test_text_from_clients_cannot_act_on_the_terminal(run, new):
    hostile = "\x1b]0;title\x07\u202e@example.org"
    record = type(ACCEPTED)(
        MORNING + 200,
        hostile,
        "x",
        ACCEPTED.client,
        "alice@example.org",
        "accepted",
        recipients=ACCEPTED.recipients,
        recipients_count=1,
    )
    write(record)
    for options in ([], ["--json"]):
        result = run("replay", "-c", "new.toml", *options)
        assert result.exit_code == 0
        assert all(line.isprintable() for line in result.stdout.splitlines())


def test_an_interrupt_prints_the_result_so_far(new):
    (new.parent / "interrupting.py").write_text(INTERRUPTING)
    new.write_text(NEW + '[[plugin]]\nuse = "interrupting.py"\n')
    command = [sys.executable, "-m", "gatepost", "replay", "-c", "new.toml", "--json"]
    done = subprocess.run(
        [*command, "--since", "2026-11-29"], capture_output=True, text=True, check=True
    )
    result = json.loads(done.stdout)
    assert (result["interrupted"], done.stderr) == (True, "")
    assert result["transactions"] < 3


def test_the_progress_is_not_in_the_output(new):
    text = on_terminal("replay", "-c", "new.toml", "--since", "2026-11-29")
    assert re.search(r"^Would be refused now$", text, re.MULTILINE)
