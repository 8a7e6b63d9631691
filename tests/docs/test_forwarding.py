"""docs/forwarding.md: its configuration has the effects that the page shows."""

import re
import subprocess
import sys

import pytest
from tests.docs.pages import blocks


@pytest.fixture
def folder(tmp_path):
    [configuration] = blocks("forwarding", "toml")
    (tmp_path / "gatepost.toml").write_text(configuration)
    secret = tmp_path / "srs.secret"
    secret.write_text("a secret of the test\n")
    secret.chmod(0o600)
    return tmp_path


def run(folder, *arguments):
    command = [sys.executable, "-m", "gatepost", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_example_shows_these_changes(folder):
    [shown] = blocks("forwarding", "text")
    found = run(folder, "try", "--from", "alice@client.example", "--to", "team@example.com")
    expected = re.escape(shown.strip()).replace("…", r"[^=]{4}=[A-Z2-7]{2}")
    assert re.search(expected, found.stdout), found.stdout


def test_the_example_is_no_open_relay(folder):
    found = run(folder, "try", "--from", "alice@client.example", "--to", "carol@provider.example")
    assert "Relaying denied" in found.stdout


def test_a_catch_all_gets_the_mail_of_unknown_users(folder):
    found = run(folder, "try", "--from", "alice@client.example", "--to", "any@example.com")
    assert "final recipients: bob@example.com\n" in found.stdout


def test_the_example_has_no_errors(folder):
    found = run(folder, "check")
    assert "no errors" in found.stdout + found.stderr
