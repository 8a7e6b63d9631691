"""`gatepost check`: users, and routes for authenticated clients."""

import json

import pytest
from tests.auth.samples import write_users

CLEAR = 'users = "users.auth"\nclear = true'
FOREIGN = "{}: auth.clear allows passwords without TLS: any host on the path can read them"
RELAY = '[[route]]\nto = "discard:"\nrelay_for = "authenticated"'
LOCAL = '[[route]]\nfor = ["example.com"]\nto = "discard:"'
NO_USER = "no client can authenticate: auth.users has no user, see gatepost users add"


@pytest.fixture
def checked(configure, run):
    """Return the findings for a sound configuration with these changes."""

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
        (folder / "traps").write_text("hidden-page@example.com\n")
        write_users(folder, *users)
        (folder / "users.auth").chmod(mode)
        found = json.loads(run("check", "--json").stdout)
        return found["errors"] + [one.replace(str(folder), "FOLDER") for one in found["warnings"]]

    return checked


def test_a_sound_configuration_has_no_findings(checked):
    assert checked() == []


def test_a_relay_route_after_a_local_one_is_sound(checked):
    assert checked(routes=f"{LOCAL}\n{RELAY}") == []


def test_users_without_a_listener_with_auth_are_a_warning(checked):
    assert checked(listen="") == ["auth.users has no effect: no [[listen]] has auth"]


def test_an_empty_users_file_is_a_warning(checked):
    empty = "FOLDER/users.auth: the list has no entry"
    assert sorted(checked(users=["# no users"])) == sorted([NO_USER, empty])


def test_auth_without_tls_is_an_error(checked):
    expected = "expected TLS on this listener, or auth.clear = true, found neither"
    assert checked(auth='users = "users.auth"') == [f"gatepost.toml: listen[0].auth: {expected}"]


def test_auth_without_users_is_an_error(checked):
    expected = "no source of users, expected auth.users, or a plugin with on_auth"
    assert checked(auth="clear = true") == [f"listen[0].auth: {expected}"]


def test_an_invalid_users_file_is_an_error_without_its_content(checked):
    (first, *_) = checked(users=["alice hash"])
    assert first.endswith(
        "/users.auth:1: expected a name, an argon2id hash and a SCRAM-SHA-256 verifier"
    )
    assert "hash" not in first.partition("users.auth")[0]


def test_a_users_file_that_others_can_read_is_a_warning(checked):
    assert checked(mode=0o644) == [
        "FOLDER/users.auth: mode 644 gives access to all users, expected 600 or 640"
    ]


def test_a_users_file_for_a_group_is_sound(checked):
    assert checked(mode=0o640) == []


def test_auth_clear_on_a_network_is_a_warning(checked):
    listen = 'auth = true\n[[listen]]\naddress = "192.0.2.1:25"\nauth = true'
    assert FOREIGN.format("192.0.2.1:25") in checked(listen=listen)


def test_a_hidden_relay_route_is_a_warning(checked):
    hidden = "route[1].relay_for has no effect: route[0] matches every recipient before it"
    assert checked(routes=f'[[route]]\nto = "discard:"\n{RELAY}') == [hidden]


def test_a_relay_for_a_large_network_is_a_warning(checked):
    relay = RELAY.replace('"authenticated"', '["authenticated", "10.0.0.0/8", "32.0.0.0/3"]')
    warning = (
        "route[1].relay_for contains 32.0.0.0/3: an open relay for all hosts there, expected your"
        " own networks"
    )
    assert checked(routes=f"{LOCAL}\n{relay}") == [warning]


def test_a_relay_for_users_without_auth_is_a_warning_with_networks_too(checked):
    relay = RELAY.replace('"authenticated"', '["authenticated", "10.0.0.0/8"]')
    unused = "route[1].relay_for: authenticated has no effect: no [[listen]] has auth"
    assert unused in checked(listen="", routes=f"{LOCAL}\n{relay}")


def test_a_relay_for_networks_needs_no_auth(checked):
    networks = RELAY.replace('"authenticated"', '["10.0.0.0/8"]')
    assert not [one for one in checked(listen="", routes=f"{LOCAL}\n{networks}") if "relay" in one]


def test_a_relay_route_without_auth_is_a_warning(checked):
    unused = "route[1].relay_for has no effect: no [[listen]] has auth"
    assert unused in checked(listen="", routes=f"{LOCAL}\n{RELAY}")
