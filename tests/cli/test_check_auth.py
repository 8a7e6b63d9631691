"""What `gatepost check` says of users, and of ways out for them."""

import json

import pytest
from tests.auth.samples import write_users

CLEAR = 'users = "users.auth"\nclear = true'
FOREIGN = (
    "{}: auth.clear has passwords sent without TLS from a network: whoever listens on the way has"
    " them"
)
RELAY = '[[route]]\nto = "discard:"\nrelay_for = "authenticated"'
LOCAL = '[[route]]\nfor = ["example.com"]\nto = "discard:"'
NOBODY = "nobody can authenticate: expected users in auth.users, see gatepost users add"


@pytest.fixture
def checked(configure, run):
    """Return what is found in a configuration that is sound but for what is given."""

    def checked(listen="auth = true", auth=CLEAR, routes=LOCAL, users=(), mode=0o600):
        folder = configure(
            '[server]\nhostname = "mx.example.com"\n[[listen]]\naddress = "127.0.0.1:0"',
            listen,
            "[auth]",
            auth,
            '[recipients]\ndomains = ["example.com"]\nknown = ["bob@example.com"]',
            '[traps]\nlists = ["traps"]',
            routes,
        )
        (folder / "traps").write_text("trap@example.com\n")
        write_users(folder, *users)
        (folder / "users.auth").chmod(mode)
        found = json.loads(run("check", "--json").stdout)
        return found["errors"] + [one.replace(str(folder), "FOLDER") for one in found["warnings"]]

    return checked


def test_nothing_wrong(checked):
    assert checked() == []


def test_ways_out_in_the_right_order(checked):
    assert checked(routes=f"{LOCAL}\n{RELAY}") == []


def test_users_whom_no_listener_asks_for(checked):
    assert checked(listen="") == ["auth.users is not used: no [[listen]] has auth"]


def test_no_users_yet(checked):
    empty = "FOLDER/users.auth: there is no entry in it"
    assert sorted(checked(users=["# nobody"])) == sorted([NOBODY, empty])


def test_a_listener_where_auth_can_never_be_offered(checked):
    expected = "expected TLS on this listener, or auth.clear = true, found neither"
    assert checked(auth='users = "users.auth"') == [f"gatepost.toml: listen[0].auth: {expected}"]


def test_nobody_to_ask(checked):
    expected = "no source of users, expected auth.users, or a plugin with on_auth"
    assert checked(auth="clear = true") == [f"listen[0].auth: {expected}"]


def test_a_users_file_that_is_broken(checked):
    (first, *_) = checked(users=["alice hash"])
    assert first.endswith(
        "/users.auth:1: expected a name, an argon2id hash and a SCRAM-SHA-256 verifier"
    )
    assert "hash" not in first.partition("users.auth")[0]


def test_a_users_file_for_all_to_read(checked):
    assert checked(mode=0o644) == [
        "FOLDER/users.auth: its mode is 644, expected one that is not for others"
    ]


def test_a_users_file_for_a_group(checked):
    assert checked(mode=0o640) == []


def test_passwords_in_the_clear_from_a_network(checked):
    listen = 'auth = true\n[[listen]]\naddress = "192.0.2.1:25"\nauth = true'
    assert FOREIGN.format("192.0.2.1:25") in checked(listen=listen)


def test_a_way_out_that_is_hidden(checked):
    hidden = "route[1].relay_for has no effect: route[0] matches every recipient before it"
    assert checked(routes=f'[[route]]\nto = "discard:"\n{RELAY}') == [hidden]


def test_a_way_out_for_nobody(checked):
    nobody = "route[1].relay_for has no effect: no [[listen]] has auth"
    assert nobody in checked(listen="", routes=f"{LOCAL}\n{RELAY}")
