"""`gatepost completion`, and values that are completed from the ledger."""

import shutil
import subprocess

import pytest
from click.shell_completion import get_completion_class
from tests.cli.ledgers import FOLDER, write
from tests.ledger.mail_records import GOOD, MORNING

from gatepost.cli.commands import gatepost
from gatepost.ledger.records import Answer, Transaction


def completed(words, incomplete):
    shell = get_completion_class("bash")(gatepost, {}, "gatepost", "_GATEPOST_COMPLETE")
    return [one.value for one in shell.get_completions(words, incomplete)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_printed(run, shell):
    result = run("completion", shell)
    assert result.exit_code == 0
    assert f"_GATEPOST_COMPLETE={shell}_complete" in result.stdout


def test_bash_accepts_the_script(run):
    script = run("completion", "bash").stdout
    found = subprocess.run(
        [shutil.which("bash"), "--norc", "-c", f"{script}\ncomplete -p gatepost"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "complete -o nosort -F _gatepost_completion gatepost\n"


def test_another_shell_is_wrong_usage(run):
    result = run("completion", "csh")
    assert result.exit_code == 2
    assert "'csh' is not one of 'bash', 'zsh', 'fish'" in result.stderr


def test_references_are_completed_the_newest_first(ledger):
    found = completed(["explain"], "ebebdad2-")
    assert found == ["ebebdad2-4", "ebebdad2-3.1", "ebebdad2-2.1", "ebebdad2-1.1", "ebebdad2-1"]
    assert completed(["explain"], "nosuch") == []


def test_plugins_and_reasons_are_completed(ledger):
    assert completed(["log", "--plugin"], "") == ["greylist"]
    assert completed(["log", "--reason"], "greyl") == ["greylisted"]
    assert completed(["log", "--reason"], "relay") == ["relay-denied"]


def test_names_of_plugins_are_completed(configure):
    assert completed(["plugins", "show"], "rsp") == ["rspamd"]
    assert completed(["plugins", "show"], "check_v") == ["check_verybadrcptto"]
    assert completed(["plugins", "options"], "spam") == ["spamassassin"]
    assert "clamav" in completed(["plugins", "show"], "")
    assert "clamd" not in completed(["plugins", "show"], "")
    assert completed(["plugins"], "s")[:2] == ["search", "show"]
    assert "spf" in completed(["plugins"], "s")


def test_the_configuration_can_be_named(ledger, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    file = str(ledger / "gatepost.toml")
    assert completed(["explain", "-c", file], "ebebdad2-4") == ["ebebdad2-4"]


def test_without_a_ledger_nothing_is_completed(configure):
    configure()
    assert completed(["explain"], "") == []


def test_without_a_configuration_nothing_is_completed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert completed(["explain"], "") == []


def test_with_a_damaged_ledger_nothing_is_completed(ledger):
    for path in FOLDER.glob("*.sqlite*"):
        path.write_bytes(b"no database" * 1000)
    assert completed(["explain"], "") == []


def test_values_that_a_shell_would_run_are_not_completed(ledger):
    answer = Answer("rcpt", "$(reboot)", "deny", "`reboot`")
    write(Transaction(MORNING, "s-1;reboot", "s-1", GOOD, "", answers=(answer,)))
    assert completed(["log", "--plugin"], "") == ["greylist"]
    assert completed(["explain"], "s-1") == []
    assert completed(["log", "--reason"], "`") == []
