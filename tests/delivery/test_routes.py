"""The route of a recipient."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery.samples import recipient

from gatepost.delivery.discard import DiscardTarget
from gatepost.delivery.route import Route
from gatepost.delivery.routes import Router
from gatepost.delivery.target import DeliveryError

HOST = "mx.example.com"
FIRST, SECOND, THIRD = (Route(DiscardTarget(), "discard:") for _ in range(3))


def router(*routes):
    return Router(routes, hostname=HOST)


@pytest.mark.parametrize(
    ("pattern", "address", "matches"),
    [
        ("*", "a@example.com", True),
        ("example.com", "a@EXAMPLE.com", True),
        ("EXAMPLE.com", "a@example.com", True),
        ("@example.com", "a@example.com", True),
        ("example.com", "a@sub.example.com", False),
        ("example.com", "a@badexample.com", False),
        ("A@example.com", "a@example.com", True),
        ("a@example.com", "A@Example.Com", True),
        ("a@example.com", "b@example.com", False),
        ("bücher.example", "a@xn--bcher-kva.example", True),
        ("a@bücher.example", "a@BÜCHER.example", True),
        ('"a b"@example.com', '"a b"@example.com', True),
        ("a@[192.0.2.1]", "a@[192.0.2.1]", True),
        ("postmaster@mx.example.com", "postmaster", True),
        ("mx.example.com", "Postmaster", True),
        ("example.com", "postmaster", False),
    ],
)
def test_patterns_match_addresses(pattern, address, matches):
    chosen = router((["other.example"], SECOND), ([pattern], FIRST)).route(recipient(address))
    assert chosen is (FIRST if matches else None)


@pytest.mark.parametrize("pattern", ["user@example.com", "user+tag@example.com"])
def test_a_pattern_matches_with_or_without_the_subaddress(pattern):
    assert router(([pattern], FIRST)).route(recipient("User+Tag@example.com", user="user")) is FIRST


def test_another_subaddress_does_not_match():
    assert router((["u+a@example.com"], FIRST)).route(recipient("u+b@example.com", "u")) is None


def test_the_first_route_wins_however_exact_a_later_one_is():
    routes = router(
        (["vip@example.com"], FIRST), (["example.com"], SECOND), (["a@example.com", "*"], THIRD)
    )
    chosen = [routes.route(recipient(f"{name}@example.com")) for name in ("vip", "a")]
    assert chosen == [FIRST, SECOND]
    assert routes.route(recipient("a@example.net")) is THIRD


def test_a_first_route_for_all_matches_every_recipient():
    routes = router((["*"], FIRST), (["example.com"], SECOND))
    assert routes.route(recipient("a@example.com")) is FIRST


def test_without_routes_there_is_no_route():
    assert router().route(recipient("a@example.com")) is None


def test_split_keeps_the_order_and_groups_by_target():
    routes = router((["a.example"], FIRST), (["b.example"], SECOND), (["c.example"], FIRST))
    one, two, three = map(recipient, ("x@b.example", "x@a.example", "x@c.example"))
    assert routes.split([one, two, three]) == [(SECOND, [one]), (FIRST, [two, three])]


def test_split_with_one_route_for_all_returns_all():
    recipients = [recipient("a@example.com"), recipient("b@example.net")]
    [(target, share)] = router((["*"], FIRST)).split(recipients)
    assert target is FIRST
    assert share == recipients


def test_split_never_drops_a_recipient():
    routes = router((["a.example"], FIRST))
    with pytest.raises(DeliveryError) as caught:
        routes.split([recipient("x@a.example"), recipient("x@b.example")])
    assert caught.value.text == "No route to recipient, please try again later"
    assert caught.value.detail == "no route for x@b.example"
    assert not caught.value.permanent


PATTERNS = st.lists(
    st.sampled_from(["*", "a.example", "@b.example", "x@a.example", "y@b.example"]), min_size=1
)


@given(st.lists(PATTERNS, max_size=5), st.sampled_from(["x", "y"]), st.sampled_from(["a", "b"]))
def test_the_result_is_that_of_reading_the_routes_in_order(tables, local, letter):
    targets = [Route(DiscardTarget(), "discard:") for _ in tables]
    domain = f"{letter}.example"
    naming = {"*", domain, f"@{domain}", f"{local}@{domain}"}
    expected = next((t for p, t in zip(tables, targets, strict=True) if naming & {*p}), None)
    routes = router(*zip(tables, targets, strict=True))
    assert routes.route(recipient(f"{local}@{domain}")) is expected


@pytest.mark.parametrize(
    ("patterns", "error"),
    [
        ([], "route[1].for: expected at least one pattern, or a name, found none"),
        (["*.example.com"], "expected a domain name, found '*.example.com'"),
        (["a b@example.com"], "expected local-part@domain, found 'a b@example.com'"),
        (["example.com", ""], "expected a domain name, found ''"),
        (["@"], "expected a domain name, found ''"),
    ],
)
def test_invalid_patterns_are_refused(patterns, error):
    with pytest.raises(ValueError) as caught:
        router((["*"], FIRST), (patterns, SECOND))
    start = "" if not patterns else "route[1].for: expected *, a domain, @domain or an address: "
    assert str(caught.value) == start + error
