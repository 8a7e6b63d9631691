"""The users file: the syntax of its lines, and the effect of bad lines."""

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
from gatepost.wire.sasl.scram import fake_verifier

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
def test_a_line_is_parsed(line, found):
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
def test_a_bad_line_is_refused_without_showing_hashes(line):
    with pytest.raises(UserLineError) as caught:
        parse_line(line)
    assert HASH not in str(caught.value)
    assert VERIFIER not in str(caught.value)


@given(st.binary(max_size=80))
def test_any_octets_are_a_line_or_refused(octets):
    try:
        found = parse_line(octets)
    except UserLineError:
        return
    if isinstance(found, User):
        assert parse_line(str(found).encode()) == found


@pytest.mark.parametrize(
    "name", ["", "a b", "#a", "*secret", "*x", "$x", "a\n", "\udc80", "\ufb01"]
)
def test_a_bad_name_is_refused(name):
    with pytest.raises(UserLineError):
        parse_name(name)


def users(*lines):
    return parse_users(BytesIO("".join(f"{one}\n" for one in lines).encode()), "users.auth")


def test_a_file_is_parsed():
    found = users("# ours", f"*secret {SECRET}", f"alice {HASH} {VERIFIER}", f"bob {VERIFIER}")
    assert [one.name for one in found] == ["alice", "bob"]
    assert (len(found), found.has_passwords, found.has_verifiers) == (2, True, True)
    assert found.hash("alice") == HASH
    assert str(found.verifier("bob")) == VERIFIER
    assert repr(found.users["alice"]) == "User('alice', ...)"


@pytest.mark.parametrize("line", [f"ALICE {VERIFIER}", "carol x"])
def test_the_first_bad_line_is_reported(line):
    with pytest.raises(ListError, match=r"^users.auth:2: expected"):
        users(f"alice {HASH}", line)


@pytest.mark.parametrize("name", ["unknown", "bob"])
def test_a_user_without_a_hash_has_a_decoy_of_equal_cost(name):
    found = users(f"alice {HASH}", f"bob {VERIFIER}")
    decoy = found.hash(name)
    assert decoy == found.hash("other")
    assert decoy.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert not verify_password(decoy, "secret")
    assert parse_line(f"x {decoy}".encode()).hash == decoy
    assert UserList().hash("x").startswith("$argon2id$v=19$m=65536,t=3,p=4$")


@pytest.mark.parametrize("secret", [[f"*secret {SECRET}"], []])
def test_a_user_without_a_verifier_has_a_stable_decoy(secret):
    found, again = (users(*secret, f"alice {VERIFIER}", f"bob {HASH}") for _ in range(2))
    for name in ("bob", "unknown"):
        decoy = found.verifier(name)
        assert decoy == again.verifier(name)
        assert decoy.iterations == ITERATIONS
        assert len(decoy.salt) == len(found.verifier("alice").salt)
    assert found.verifier("bob") != found.verifier("unknown")


def test_with_a_secret_decoys_do_not_change_with_the_file():
    secret = f"*secret {SECRET}"
    before, after = users(secret, f"a {VERIFIER}"), users(secret, f"a {VERIFIER}", f"b {VERIFIER}")
    assert before.verifier("unknown") == after.verifier("unknown")


def test_a_changed_file_is_read_again(tmp_path):
    write_users(tmp_path, user())
    file = UsersFile(tmp_path / "users.auth")
    assert len(file.current) == 0
    file.load()
    assert [one.name for one in file.current] == ["alice"]
    write_users(tmp_path, user(), user("bob"))
    assert file.refresh().entries == 2
    assert [one.name for one in file.current] == ["alice", "bob"]


def test_a_bad_version_keeps_the_previous_one(tmp_path):
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


def test_every_name_costs_the_same_work(monkeypatch):
    made = []

    def counting(name, *args):
        made.append(name)
        return fake_verifier(name, *args)

    monkeypatch.setattr("gatepost.auth.users.fake_verifier", counting)
    found = users(f"alice {VERIFIER}", f"bob {HASH}")
    assert str(found.verifier("alice")) == VERIFIER
    assert VERIFIER not in {str(found.verifier(name)) for name in ("bob", "unknown")}
    assert made == ["alice", "bob", "unknown"]
