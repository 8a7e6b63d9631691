"""`gatepost users list|add|remove`."""

import json
import os
import stat

import pytest
from tests.auth.samples import user

from gatepost.auth.passwords import verify_password
from gatepost.auth.users import UsersFile


@pytest.fixture
def users(configure):
    return configure("[auth]", 'users = "users.auth"') / "users.auth"


def loaded(path):
    file = UsersFile(path)
    file.load()
    return file.current


def test_the_first_user_creates_the_file(run, users):
    result = run("users", "add", "Alice@Example.com", "--password-stdin", text="secret\n")
    assert (result.exit_code, result.stdout) == (0, f"alice@example.com added to {users}\n")
    assert stat.S_IMODE(users.stat().st_mode) == 0o600
    (found,) = loaded(users)
    assert verify_password(found.hash, "secret")
    assert found.verifier is not None
    assert users.read_text().count("*secret ") == 1
    assert users.read_text().startswith("# Users, written by")
    assert [one.name for one in users.parent.iterdir() if "users" in one.name] == ["users.auth"]


def test_the_password_is_prompted_for_twice(run, users):
    result = run("users", "add", "alice", text="secret\nsecret\n")
    assert result.exit_code == 0
    assert "secret" not in result.stdout + result.stderr
    assert verify_password(loaded(users).users["alice"].hash, "secret")


def test_add_changes_the_password_of_a_user(run, users):
    (users).write_text(f"# mine\n{user('alice', 'old')}\n{user('bob')}")
    before = users.read_text().splitlines()
    result = run("users", "add", "ALICE", "--password-stdin", text="new\r\n")
    assert result.stdout == f"alice has a new password in {users}\n"
    assert verify_password(loaded(users).users["alice"].hash, "new")
    assert users.read_text().splitlines()[:2] == [before[0], before[2]]


def test_remove_keeps_all_other_lines(run, users):
    users.write_text(f"# mine\n{user()}\nbroken line\n{user('bob')}\n")
    users.chmod(0o640)
    os.link(users, users.with_name("linked"))
    before = users.read_text().splitlines()
    result = run("users", "remove", "Alice")
    assert (result.exit_code, result.stdout) == (0, f"alice removed from {users}\n")
    assert users.read_text().splitlines() == [before[0], *before[2:]]
    assert stat.S_IMODE(users.stat().st_mode) == 0o640
    assert users.with_name("linked").read_text().splitlines() == before


def test_the_last_user_loses_access_at_once(run, users):
    run("users", "add", "alice", "--password-stdin", text="secret\n")
    file = UsersFile(users)
    file.load()
    before = users.read_text()
    assert run("users", "remove", "alice").exit_code == 0
    assert users.read_text().endswith("\n# empty\n")
    assert file.refresh().problem == ""
    assert len(file.current) == 0
    run("users", "add", "alice", "--password-stdin", text="secret\n")
    assert users.read_text().splitlines()[:2] == before.splitlines()[:2]
    assert "# empty" not in users.read_text()


def test_a_truncated_users_file_keeps_the_users(users):
    users.write_text(f"{user()}\n")
    file = UsersFile(users)
    file.load()
    users.write_text("")
    assert "the previous version stays in force for 1h" in file.refresh().problem
    assert list(file.current.users) == ["alice"]


def test_a_symbolic_link_is_kept(run, users):
    real = users.with_name("real")
    users.symlink_to(real)
    run("users", "add", "alice", "--password-stdin", text="secret\n")
    assert users.is_symlink()
    assert len(loaded(real)) == 1


def test_list_prints_the_mechanisms_of_each_user(run, users):
    users.write_text(f"{user()}\n{user('bob', scram=False)}\n{user('carol', plain=False)}\n")
    assert run("users", "list").stdout.splitlines() == [
        "user   PLAIN, LOGIN  SCRAM-SHA-256",
        "alice  yes           yes",
        "bob    yes           no",
        "carol  no            yes",
    ]
    assert json.loads(run("users", "list", "--json").stdout)[1] == {
        "user": "bob",
        "password": True,
        "scram": False,
    }


@pytest.mark.parametrize(
    ("arguments", "text", "outcome"),
    [
        (["add", "a b", "--password-stdin"], "x\n", (2, "expected a user name")),
        (["add", "#x", "--password-stdin"], "x\n", (2, "expected a user name")),
        (["add", "x", "--password-stdin"], "\n", (2, "the password: expected a password")),
        (["add", "x", "--password-stdin"], "", (2, "the password: expected a password")),
        (["add", "x", "--password-stdin"], "a\tb\n", (2, "the password: expected a password")),
        (["add", "x", "--password-stdin"], "a" * 2000, (2, "expected at most 1024 octets")),
        (["remove", "x"], None, (1, "cannot be changed: No such file or directory")),
        (["list"], None, (1, "cannot be read: No such file or directory")),
    ],
)
def test_invalid_requests_change_nothing(run, users, arguments, text, outcome):
    status, error = outcome
    result = run("users", *arguments, text=text)
    assert result.exit_code == status
    assert error in result.stderr
    assert not users.exists()


def test_remove_of_an_unknown_user_is_an_error(run, users):
    users.write_text(f"{user()}\n")
    result = run("users", "remove", "bob")
    assert (result.exit_code, result.stderr) == (1, f"gatepost: bob is not in {users}\n")


def test_a_file_that_cannot_be_written_is_an_error(run, users):
    users.mkdir()
    result = run("users", "add", "x", "--password-stdin", text="x\n")
    assert result.exit_code == 1
    assert "cannot be written: Is a directory" in result.stderr


@pytest.mark.parametrize("arguments", [["list"], ["add", "x", "--password-stdin"], ["remove", "x"]])
def test_a_missing_users_setting_is_an_error(run, configure, arguments):
    configure("[server]")
    result = run("users", *arguments, text="x\n")
    assert result.exit_code == 1
    assert result.stderr == (
        "gatepost: auth.users is not set: expected a file for the users that log in, as in [auth]"
        ' users = "users.auth"; known recipients are in recipients.known and need no password\n'
    )
