"""`gatepost web users` and `gatepost web tokens`."""

import json
import time

import pytest

from gatepost.auth.passwords import verify_password
from gatepost.cli.shared.author import author
from gatepost.config.load import load_config
from gatepost.web.access.api_tokens import ApiToken, TokensFile
from gatepost.web.access.command_events import CommandEvents
from gatepost.web.access.users import UsersFile

PASSWORD = "a long password\n"
DAY = 86400.0


@pytest.fixture
def users(folder):
    """The users of the starter folder, as a server reads them."""
    file = UsersFile(load_config(folder / "gatepost.toml").data_dir)
    return file.read


def add(run, *arguments, text=PASSWORD):
    return run("web", "users", "add", *arguments, "--password-stdin", text=text)


def test_a_user_is_added_with_role_and_domains(run, users):
    result = add(
        run, "Alice", "--role", "admin", "--domain", "Example.COM.", "--domain", "b.example"
    )
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("alice added to ")
    alice = users()["alice"]
    assert (alice.role, list(alice.domains)) == ("admin", ["example.com", "b.example"])
    assert verify_password(alice.hash, "a long password")


def test_the_password_is_asked_for(run, users):
    result = run("web", "users", "add", "alice", text=PASSWORD * 2)
    assert result.exit_code == 0
    assert "Password for alice" in result.stderr
    assert verify_password(users()["alice"].hash, "a long password")


def test_a_user_of_a_proxy_has_no_password(run, users):
    assert run("web", "users", "add", "alice", "--no-password").exit_code == 0
    assert users()["alice"].hash == ""


def test_a_user_that_exists_is_not_replaced(run, users):
    add(run, "alice", "--domain", "example.com")
    result = add(run, "alice")
    assert result.exit_code == 1
    assert "exists already" in result.stderr
    assert list(users()["alice"].domains) == ["example.com"]


def test_the_password_changes_and_the_rest_stays(run, users):
    add(run, "alice", "--domain", "example.com")
    changed = run(
        "web", "users", "password", "alice", "--password-stdin", text="another password\n"
    )
    assert changed.exit_code == 0
    assert verify_password(users()["alice"].hash, "another password")
    assert list(users()["alice"].domains) == ["example.com"]


def test_a_user_is_removed(run, users):
    add(run, "alice")
    assert run("web", "users", "remove", "alice").exit_code == 0
    assert users() == {}


@pytest.mark.parametrize("command", ["remove", "password"])
def test_an_unknown_user_is_reported(run, folder, command):
    result = run("web", "users", command, "alice")
    assert result.exit_code == 1
    assert "alice is not in " in result.stderr


@pytest.mark.parametrize(
    ("arguments", "text", "expected"),
    [
        (["a b"], PASSWORD, "expected a user name"),
        (["alice"], "short\n", "at least 12 characters"),
        (["alice"], "bad\x00password!\n", "password"),
        (["alice", "--domain", "a b"], PASSWORD, "--domain: expected a domain"),
        (["alice", "--role", "root"], PASSWORD, "--role"),
    ],
)
def test_wrong_usage_is_reported(run, users, arguments, text, expected):
    result = add(run, *arguments, text=text)
    assert result.exit_code == 2
    assert expected in result.stderr
    assert users() == {}


def test_the_list_has_roles_and_domains(run, folder):
    add(run, "alice", "--role", "admin")
    run("web", "users", "add", "bob", "--no-password", "--domain", "example.com")
    text = run("web", "users", "list").stdout
    assert [line.split() for line in text.splitlines()[1:]] == [
        ["alice", "admin", "all", "yes"],
        ["bob", "viewer", "example.com", "no"],
    ]
    assert json.loads(run("web", "users", "list", "--json").stdout)[1] == {
        "user": "bob",
        "role": "viewer",
        "domains": ["example.com"],
        "password": False,
    }
    assert "argon2" not in text


def test_a_damaged_file_is_reported(run, folder):
    add(run, "alice")
    (folder / "var/web/users").write_text("damaged\n")
    for command in (["list"], ["remove", "alice"], ["add", "bob", "--no-password"]):
        result = run("web", "users", *command)
        assert result.exit_code == 1
        assert "web/users:1: expected a user" in result.stderr


def test_a_folder_that_cannot_be_written_is_reported(run, folder):
    (folder / "var").write_text("a file")
    result = add(run, "alice")
    assert result.exit_code == 1
    assert "var" in result.stderr


def test_changes_of_users_and_tokens_wait_for_the_ledger(run, folder):
    events = CommandEvents(load_config(folder / "gatepost.toml").data_dir)
    add(run, "alice", "--role", "admin")
    run("web", "users", "password", "alice", "--password-stdin", text="another password\n")
    run("web", "users", "remove", "alice")
    run("web", "tokens", "add", "backup", "--domain", "example.com")
    run("web", "tokens", "remove", "backup")
    run("web", "tokens", "remove", "unknown")
    assert events.path.stat().st_mode & 0o777 == 0o600
    found = events.take()
    assert [(one.name, one.detail) for one in found] == [
        ("dashboard user added", "alice admin"),
        ("dashboard password changed", "alice admin"),
        ("dashboard user removed", "alice admin"),
        ("api token added", "backup viewer example.com"),
        ("api token removed", "backup viewer example.com"),
    ]
    assert {one.author for one in found} == {author()}
    assert not events.take()


# Tokens of the HTTP API


@pytest.fixture
def tokens(folder):
    """The tokens of the starter folder, as a server finds them."""
    return TokensFile(load_config(folder / "gatepost.toml").data_dir)


def test_a_token_is_printed_once_and_stored_as_a_hash(run, tokens):
    result = run("web", "tokens", "add", "Backup", "--role", "admin", "--domain", "Example.COM")
    assert result.exit_code == 0, result.stderr
    text = result.stdout.strip()
    found = tokens.find(text)
    assert 89 * DAY < found.expires - time.time() < 91 * DAY
    assert (found.name, found.role, list(found.domains)) == ("backup", "admin", ["example.com"])
    assert text not in tokens.path.read_text()


def test_tokens_are_listed_without_their_hashes(run, tokens):
    run("web", "tokens", "add", "one", "--lifetime", "2d")
    listed = run("web", "tokens", "list")
    assert "one" in listed.stdout
    (found,) = json.loads(run("web", "tokens", "list", "--json").stdout)
    assert (found["token"], found["role"], found["domains"]) == ("one", "viewer", [])
    assert tokens.read()["one"].hash not in listed.stdout


def test_a_token_that_has_expired_is_listed_as_such(run, tokens):
    tokens.put(ApiToken("old", "x", 1.0))
    assert "expired" in run("web", "tokens", "list").stdout


def test_a_token_is_removed(run, tokens):
    run("web", "tokens", "add", "one")
    assert run("web", "tokens", "remove", "one").exit_code == 0
    assert tokens.read() == {}
    assert "one is not in" in run("web", "tokens", "remove", "one").stderr


@pytest.mark.usefixtures("folder")
def test_a_token_that_exists_is_not_replaced(run):
    run("web", "tokens", "add", "one")
    assert "one exists already" in run("web", "tokens", "add", "one").stderr


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("lifetime", ["0s", "11000d", "soon"])
def test_a_wrong_lifetime_is_reported(run, lifetime):
    result = run("web", "tokens", "add", "one", "--lifetime", lifetime)
    assert result.exit_code == 2
    assert "--lifetime: " in result.stderr
