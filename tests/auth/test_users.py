"""The users file: what is a line of it, and what a broken one leads to."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.auth.samples import ITERATIONS, b64, hashed, user, write_users

from gatepost.auth.passwords import verify_password
from gatepost.auth.users import (
    User,
    UserLineError,
    UserList,
    UsersFile,
    parse_line,
    parse_name,
    parse_users,
)
from gatepost.lists.reloadable import ListError

HASH = hashed("secret")
VERIFIER = str(user().verifier)
SECRET = b64(b"s" * 32)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"Alice {HASH} {VERIFIER}", user()),
        (f"alice {VERIFIER} {HASH}", user()),
        (f"\talice  {HASH}\r\n", User("alice", HASH)),
        (f"alice {VERIFIER}", user(plain=False)),
        ("alice@example.com", User("alice@example.com")),
        (f"*secret {SECRET}", b"s" * 32),
        ("# alice x", None),
        ("#", None),
        ("", None),
        (" \t", None),
    ],
)
def test_lines(line, found):
    parsed = parse_line(line.encode())
    if isinstance(found, User) and found.hash:
        assert verify_password(parsed.hash, "secret")
        assert (parsed.name, parsed.verifier and "yes") == (
            found.name,
            found.verifier and "yes",
        )
    else:
        assert parsed == found
    if isinstance(parsed, User):
        assert parse_line(str(parsed).encode()) == parsed


@pytest.mark.parametrize(
    "line",
    [
        b"\xff x",
        b"alice x",
        f"alice {HASH} {HASH}".encode(),
        f"alice {VERIFIER} {VERIFIER}".encode(),
        f"alice {VERIFIER}x".encode(),
        f"alice {HASH.replace('argon2id', 'argon2i')}".encode(),
        f"alice {HASH.replace('m=8', 'm=1048577')}".encode(),
        f"alice {HASH.replace('t=1', 't=65')}".encode(),
        f"alice {HASH.replace('v=19', 'v=16')}".encode(),
        f"{HASH}".encode(),
        f"*secrets {SECRET}".encode(),
        b"*secret",
        f"*secret {SECRET} x".encode(),
        b"*secret c2hvcnQ=",
        b"*secret !",
        "a\u202eb".encode(),
    ],
)
def test_what_is_no_line(line):
    with pytest.raises(UserLineError) as caught:
        parse_line(line)
    assert HASH not in str(caught.value)
    assert VERIFIER not in str(caught.value)


@given(st.binary(max_size=80))
def test_any_octets(octets):
    try:
        found = parse_line(octets)
    except UserLineError:
        return
    if isinstance(found, User):
        assert parse_line(str(found).encode()) == found


@pytest.mark.parametrize(
    "name", ["", "a b", "#a", "*secret", "*x", "$x", "a\n", "\udc80", "\ufb01"]
)
def test_what_is_no_name(name):
    with pytest.raises(UserLineError):
        parse_name(name)


def users(*lines):
    return parse_users(BytesIO("".join(f"{one}\n" for one in lines).encode()), "users.auth")


def test_a_file():
    found = users("# ours", f"*secret {SECRET}", f"alice {HASH} {VERIFIER}", f"bob {VERIFIER}")
    assert [one.name for one in found] == ["alice", "bob"]
    assert (len(found), found.has_passwords, found.has_verifiers) == (2, True, True)
    assert found.hash("alice") == HASH
    assert str(found.verifier("bob")) == VERIFIER
    assert repr(found.users["alice"]) == "User('alice', ...)"


@pytest.mark.parametrize("line", [f"ALICE {VERIFIER}", "carol x"])
def test_the_first_line_that_is_wrong_is_named(line):
    with pytest.raises(ListError, match=r"^users.auth:2: expected"):
        users(f"alice {HASH}", line)


@pytest.mark.parametrize("name", ["nobody", "bob"])
def test_for_want_of_a_hash_there_is_one_that_takes_as_long(name):
    found = users(f"alice {HASH}", f"bob {VERIFIER}")
    instead = found.hash(name)
    assert instead == found.hash("someone.else")
    assert instead.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert not verify_password(instead, "secret")
    assert parse_line(f"x {instead}".encode()).hash == instead
    assert UserList().hash("x").startswith("$argon2id$v=19$m=65536,t=3,p=4$")


@pytest.mark.parametrize("secret", [[f"*secret {SECRET}"], []])
def test_for_want_of_a_verifier_there_is_one_that_stays(secret):
    found, again = (users(*secret, f"alice {VERIFIER}", f"bob {HASH}") for _ in range(2))
    for name in ("bob", "nobody"):
        fake = found.verifier(name)
        assert fake == again.verifier(name)
        assert fake.iterations == ITERATIONS
        assert len(fake.salt) == len(found.verifier("alice").salt)
    assert found.verifier("bob") != found.verifier("nobody")


def test_with_a_secret_they_stay_when_the_file_changes():
    secret = f"*secret {SECRET}"
    before, after = users(secret, f"a {VERIFIER}"), users(secret, f"a {VERIFIER}", f"b {VERIFIER}")
    assert before.verifier("nobody") == after.verifier("nobody")


def test_the_file_is_read_again(tmp_path):
    write_users(tmp_path, user())
    file = UsersFile(tmp_path / "users.auth")
    assert len(file.current) == 0
    file.load()
    assert [one.name for one in file.current] == ["alice"]
    write_users(tmp_path, user(), user("bob"))
    assert file.refresh().entries == 2
    assert [one.name for one in file.current] == ["alice", "bob"]


def test_a_broken_version_keeps_the_one_before(tmp_path):
    write_users(tmp_path, user())
    file = UsersFile(tmp_path / "users.auth")
    file.load()
    before = file.current
    (tmp_path / "users.auth").write_text(f"{user('bob')}\ncarol hash\n")
    change = file.refresh()
    assert change.problem.startswith(f"{tmp_path}/users.auth:2: expected")
    assert file.current is before
    (tmp_path / "new").write_text(f"{user('bob')}\n")
    (tmp_path / "new").replace(tmp_path / "users.auth")
    assert file.refresh().problem == ""
    assert [one.name for one in file.current] == ["bob"]
