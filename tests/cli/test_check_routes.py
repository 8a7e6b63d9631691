"""`gatepost check`: routes that other routes hide."""

import json

import pytest

ROUTES = {
    ("*",): [],
    ("bob@example.com", "example.com", "example.org", "*"): [],
    ("example.com", "example.com", "*"): [
        "route[1].for: example.com has no effect: route[0] matches before it"
    ],
    ("Example.COM", "example.com", "*"): [
        "route[1].for: example.com has no effect: route[0] matches before it"
    ],
    ("example.com", "Bob@example.com", "*"): [
        "route[1].for: Bob@example.com has no effect: route[0] matches before it"
    ],
    ("bob@example.com", "bob@example.com", "bob@example.com", "*"): [
        "route[1].for: bob@example.com has no effect: route[0] matches before it",
        "route[2].for: bob@example.com has no effect: route[0] matches before it",
    ],
    ("*", "example.com", "*"): [
        "route[1] has no effect: route[0] matches every recipient before it",
        "route[2] has no effect: route[0] matches every recipient before it",
    ],
}


@pytest.fixture
def checked(configure, run):
    """Return the warnings about routes for these recipients."""

    def checked(*patterns):
        folder = configure(
            '[server]\nhostname = "mx.example.com"',
            '[recipients]\ndomains = ["example.com"]\nknown = ["bob@example.com"]',
            '[traps]\nlists = ["traps"]',
            *(f'[[route]]\nfor = {json.dumps(one)}\nto = "discard:"' for one in patterns),
        )
        (folder / "traps").write_text("hidden-page@example.com\n")
        found = json.loads(run("check", "--json").stdout)
        assert found["errors"] == []
        return found["warnings"]

    return checked


@pytest.mark.parametrize("patterns", ROUTES, ids=", ".join)
def test_unreachable_routes_are_a_warning(checked, patterns):
    assert checked(*([one] for one in patterns)) == ROUTES[patterns]


def test_one_unreachable_pattern_of_several_is_a_warning(checked):
    mixed = ["example.org", "example.com", "example.com"]
    assert checked(["example.com"], mixed, ["*"]) == [
        "route[1].for: example.com has no effect: route[0] matches before it"
    ]


def test_a_duplicate_within_one_route_is_no_warning(checked):
    assert checked(["example.com", "bob@example.com", "example.com", "*"]) == []


@pytest.fixture
def loops(configure, run):
    """Return the warnings about loops for a listener and a route."""

    def loops(listen, to):
        configure(
            '[server]\nhostname = "mx.example.com"',
            f"[[listen]]\naddress = {json.dumps(listen)}",
            f"[[route]]\nto = {json.dumps(to)}",
        )
        found = json.loads(run("check", "--json").stdout)["warnings"]
        return [one for one in found if "would loop" in one]

    return loops


@pytest.mark.parametrize(
    ("listen", "to"),
    [
        ("127.0.0.1:2525", "smtp://127.0.0.1:2525"),
        ("127.0.0.1:2525", "smtp://localhost:2525"),
        ("127.0.0.1:2525", "smtp://[::ffff:127.0.0.1]:2525"),
        ("0.0.0.0:25", "smtp://127.0.0.1"),
        ("0.0.0.0:25", "smtp://mx.example.com"),
        ("[::]:24", "lmtp://[::1]"),
        ("192.0.2.1:465", "smtps://192.0.2.1"),
        ("unix:run/x.sock", "lmtp:unix:run/x.sock"),
    ],
)
def test_a_route_to_an_own_listener_is_a_warning(loops, listen, to):
    (warning,) = loops(listen, to)
    assert warning.startswith("route[0].to: ")
    assert f"is listen {listen} of this server" in warning


@pytest.mark.parametrize(
    ("listen", "to"),
    [
        ("127.0.0.1:2525", "smtp://127.0.0.1:2526"),
        ("127.0.0.1:25", "smtp://127.0.0.2"),
        ("0.0.0.0:25", "smtp://192.0.2.1"),
        ("0.0.0.0:25", "smtp://[::1]"),
        ("192.0.2.1:25", "smtp://localhost"),
        ("127.0.0.1:25", "smtp://mail.example.com"),
        ("unix:run/x.sock", "lmtp:unix:run/y.sock"),
        ("unix:run/x.sock", "smtp://127.0.0.1"),
        ("127.0.0.1:25", "mx:"),
    ],
)
def test_a_route_to_another_server_is_no_loop(loops, listen, to):
    assert loops(listen, to) == []


@pytest.mark.parametrize(
    "to",
    [
        "smtp://user:s3cret@mail.example.com",
        "smtps://user:s3cret@mail.example.com:465",
        "lmtp://user:s3cret@mail.example.com",
        "smtp:user:s3cret@mail.example.com",
        "smtpp://user:s3cret@mail.example.com",
        "SMTP://user:s3cret@mail.example.com",
        "maildir://user:s3cret@{none}",
        "mx://user:s3cret@x",
    ],
)
def test_a_password_in_a_target_is_not_shown(configure, run, to):
    configure(f"[[route]]\nto = {json.dumps(to)}")
    for command in (["check"], ["check", "--json"], ["try"], ["serve"]):
        result = run(*command)
        assert result.exit_code != 0
        assert "s3cret" not in result.stdout + result.stderr
    if to.startswith(("smtp:", "smtps:", "lmtp:")):
        assert "client.user and client.password_file" in run("check").stderr


@pytest.mark.parametrize(
    ("address", "patterns", "warns"),
    [
        ("admin@example.com", ["*"], False),
        ("admin@elsewhere.example", ["*"], True),
        ("admin@elsewhere.example", ["elsewhere.example", "*"], False),
    ],
)
def test_the_address_of_the_list_of_the_quarantine_needs_a_route(
    configure, run, address, patterns, warns
):
    configure(
        f'[quarantine]\ndigest = "{address}"',
        *(f'[[route]]\nfor = ["{one}"]\nto = "discard:"' for one in patterns),
    )
    result = run("check", "--json")
    warned = [one for one in json.loads(result.stdout)["warnings"] if "quarantine" in one]
    assert bool(warned) is warns
