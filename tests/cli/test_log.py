"""`gatepost log`: filters, JSON, and what comes new."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from tests.cli.ledgers import write
from tests.cli.processes import Process
from tests.ledger.mail_records import ACCEPTED, GOOD, MISSING, MORNING, SPOILED

from gatepost.ledger.records import Notice, RecipientRecord, Transaction

LATE = Notice(MORNING + 299, "reloaded", "late")


def shown(run, *options):
    """Return the reference, or else the result, of each line."""
    result = run("log", "--json", *options)
    assert result.exit_code == 0, result.stderr
    records = [json.loads(line) for line in result.stdout.splitlines()]
    return [one.get("ref") or one["kind"] for one in records]


def test_records_are_printed_the_oldest_first(run, ledger):
    result = run("log")
    assert result.exit_code == 0
    assert [line.split()[1] for line in result.stdout.splitlines()] == [
        "refused",
        "deferred",
        "accepted",
        "deferred",
        "delivered",
        "deferred",
        "notice",
        "missing",
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--limit", 2], ["notice", "gap"]),
        (["--limit", 0], []),
        (["--refused"], ["ebebdad2-1.1"]),
        (["--accepted"], ["ebebdad2-3.1"]),
        (["--refused", "--accepted"], ["ebebdad2-1.1", "ebebdad2-3.1"]),
        (["--deferred"], ["ebebdad2-2.1", "ebebdad2-4"]),
        (["--from", "offers@client.example"], ["ebebdad2-1.1"]),
        (["--to", "example.com", "--refused"], ["ebebdad2-1.1"]),
        (["--ip", "203.0.113.0/24"], ["ebebdad2-1.1", "ebebdad2-4"]),
        (["--reason", "greylisted"], ["ebebdad2-2.1"]),
        (["--reason", "connections_per_ip"], ["ebebdad2-4"]),
        (["--plugin", "greylist"], ["ebebdad2-2.1"]),
        (["--since", "91s"], ["notice", "gap"]),
        (["--until", "2026-11-29T09:01"], ["ebebdad2-1.1"]),
        (["--all", "--until", "2026-11-29T09:01"], ["ebebdad2-1", "ebebdad2-1.1"]),
    ],
    ids=str,
)
def test_options_select_records(run, ledger, options, expected):
    assert shown(run, *options) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--since", "soon"], 'expected a time before now such as "30m", "2h" or "7d"'),
        (["--ip", "example.org"], "--ip: expected an IP address or a network such as"),
    ],
)
def test_wrong_values_name_what_is_expected(run, ledger, options, expected):
    result = run("log", *options)
    assert result.exit_code == 2
    assert expected in result.stderr


def test_a_client_that_gives_up_after_a_refusal_was_refused(run, ledger):
    unknown = [RecipientRecord("nosuch@example.com", "refused", "550 5.1.1 No such mailbox")]
    write(
        Transaction(MORNING, "s-1.1", "s-1", GOOD, "a@example.org", recipients=unknown),
        Transaction(MORNING, "s-2.1", "s-2", GOOD, "a@example.org"),
    )
    assert shown(run, "--refused") == ["ebebdad2-1.1", "s-1.1"]


class Waits:
    """Stands for time.sleep: each wait runs one of the functions, then Ctrl-C ends the command."""

    def __init__(self, *steps):
        self.steps = list(steps)

    def __call__(self, _seconds):
        if not self.steps:
            raise KeyboardInterrupt
        self.steps.pop(0)()


def test_new_records_are_printed_once(run, ledger, monkeypatch):
    steps = [lambda: write(LATE), lambda: None, lambda: write(MISSING)]
    monkeypatch.setattr(time, "sleep", Waits(*steps))
    result = run("log", "-f", "--json", "--limit", 1)
    assert result.exit_code == 0
    kinds = [json.loads(line)["kind"] for line in result.stdout.splitlines()]
    assert kinds == ["gap", "notice", "gap"]


def test_only_selected_records_are_followed(run, ledger, monkeypatch):
    monkeypatch.setattr(time, "sleep", Waits(lambda: write(LATE, ACCEPTED, SPOILED)))
    result = run("log", "-f", "--refused", "--limit", 0)
    assert [line.split()[1] for line in result.stdout.splitlines()] == ["refused"]


@pytest.fixture
def following(ledger):
    with Process("-m", "gatepost", "log", "-f", "--limit", "1") as process:
        assert "missing" in process.popen.stdout.readline()
        yield process


def test_ctrl_c_ends_it_quietly(following):
    assert following.stop(signal.SIGINT) == (0, "")


def test_a_closed_pipe_ends_it_quietly(following):
    following.popen.stdout.close()
    assert following.popen.stderr.read() == ""
    assert following.popen.wait() == 0


def test_the_end_of_the_reader_is_no_error(ledger):
    reader, pipe = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "gatepost", "log"]
    result = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, check=False)
    os.close(pipe)
    assert (result.returncode, result.stderr) == (0, b"")
