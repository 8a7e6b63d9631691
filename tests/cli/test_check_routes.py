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
        (folder / "traps").write_text("trap@example.com\n")
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
