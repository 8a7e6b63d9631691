"""Zones of DNS lists as options, and what their answers mean."""

import contextlib
from ipaddress import IPv4Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost import Reaction, Secret
from gatepost.plugins._zones import parse_pattern, parse_zones
from gatepost.plugins.dnsbl import Dnsbl

DENY = Reaction("deny")
OCTET = st.integers(0, 255)
ANSWER = st.tuples(OCTET, OCTET, OCTET, OCTET)


def text(octets):
    return ".".join(map(str, octets))


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("127.0.0.2", ["127.0.0.2"], ["127.0.0.3", "127.0.0.20"]),
        ("127.0.0.10-11", ["127.0.0.10", "127.0.0.11"], ["127.0.0.9", "127.0.0.12"]),
        ("127.0.*.3", ["127.0.0.3", "127.0.255.3"], ["127.0.0.2", "127.1.0.3"]),
        ("127.0.0-15.1", ["127.0.15.1"], ["127.0.16.1"]),
        ("127.0.0.0/28", ["127.0.0.0", "127.0.0.15"], ["127.0.0.16"]),
        ("127.0.0.2/32", ["127.0.0.2"], ["127.0.0.3"]),
        ("&12", ["127.0.0.4", "127.3.2.255"], ["127.0.0.2", "127.0.0.16"]),
        ("127.0.0.*&1", ["127.0.0.3"], ["127.0.0.2", "127.0.1.3"]),
    ],
)
def test_a_pattern_matches_answers(pattern, matching, others):
    parsed = parse_pattern(pattern)
    assert [one for one in [*matching, *others] if parsed.matches(one)] == matching


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "127.0.0", "127.0.0.256", "127.0.0.5-4", "127.0.0.1/33", "127.0.0.1/8", "x", "&0"),
        *("127.0.0.2 ", "127.0.0.\u0663", "127.0.0.2&", "::1/128", "*", "127.0.0.2-127.0.0.9"),
        *("&256", "127.0.0.2 - 3"),
    ],
)
def test_a_malformed_pattern_is_refused(pattern):
    with pytest.raises(ValueError, match=r'^expected an answer such as "127.0.0.2"'):
        parse_pattern(pattern)


@given(st.text(max_size=30) | st.from_regex(r"[0-9.*/&-]{0,20}", fullmatch=True))
def test_any_text_is_a_pattern_or_refused(pattern):
    with contextlib.suppress(ValueError):
        parse_pattern(pattern).matches("127.0.0.2")


@given(ANSWER, ANSWER, st.integers(0, 32))
def test_a_network_matches_the_addresses_in_it(address, answer, length):
    network = ip_network((text(address), length), strict=False)
    expected = IPv4Address(text(answer)) in network
    assert parse_pattern(str(network)).matches(text(answer)) == expected


def test_an_array_of_zones_has_one_reaction():
    first, second = parse_zones(["BL.example.", "b.example"], {}, DENY)
    assert (first.zone, first.name, first.otherwise) == ("bl.example", "bl.example", DENY)
    assert second.reactions(["127.0.0.9"]) == (DENY,)


def test_a_table_has_reactions_by_zone_and_by_answer():
    table = {"127.0.0.2": 4, "127.0.0.10-11": 2, "default": "defer"}
    zones = {"zen.example": table, "bl.example": 3, "o.example": {"127.0.0.2": 1}}
    zen, bl, other = parse_zones(zones, {}, DENY)
    assert zen.reactions(["127.0.0.2", "127.0.0.10", "127.0.0.11"]) == (Reaction(4), Reaction(2))
    assert zen.reactions(["127.0.0.3"]) == (Reaction("defer"),)
    assert bl.reactions(["127.0.0.3"]) == (Reaction(3),)
    assert other.reactions(["127.0.0.3"]) == (Reaction("none"),)


def test_a_zone_without_answers_has_the_general_reaction():
    (zone,) = parse_zones({"bl.example": {"name": "My list", "test": ""}}, {}, DENY)
    assert (zone.name, zone.test, zone.otherwise) == ("My list", "", DENY)


def test_the_key_of_a_customer_is_not_shown():
    (zone,) = parse_zones(["{dqs}.zen.example"], {"dqs": Secret("S3cret")}, DENY)
    assert zone.zone == "s3cret.zen.example"
    assert zone.name == "zen.example"
    assert "s3cret" not in repr(zone).lower()
    assert zone.public("7.S3CRET.zen.example: no answer") == "7.<secret>.zen.example: no answer"


@pytest.mark.parametrize(
    ("zones", "keys", "problem"),
    [
        ([], {}, "expected 1 to 50 zones, found 0"),
        (["bl.example"] * 1 + [f"{n}.example" for n in range(50)], {}, "found 51"),
        (["bl example"], {}, 'zones."bl example": expected the name of a zone'),
        (["a" * 64 + ".example"], {}, "expected the name of a zone"),
        (["{k}.bl.example"], {}, "expected the key 'k' in `keys`"),
        (["{a}.bl.example", "bl.example"], {"a": Secret("x")}, "expected different names"),
        ({"bl.example": {"127.0.0.x": 1}}, {}, 'zones."bl.example": expected an answer such as'),
        (
            {"bl.example": "drop"},
            {},
            'default: expected "deny", "defer", "hold", "none" or a number',
        ),
        ({"bl.example": {"name": 4}}, {}, "expected text as name and test"),
    ],
)
def test_zones_that_cannot_be_used_are_refused(zones, keys, problem):
    with pytest.raises(ValueError) as error:
        parse_zones(zones, keys, DENY)
    assert problem in str(error.value)


def test_no_error_shows_a_key():
    with pytest.raises(ValueError) as error:
        Dnsbl(zones=["{k}.bl.example"], keys={"k": "not a label"})
    assert "not a label" not in str(error.value)


def test_options_are_checked_at_the_start():
    with pytest.raises(ValueError, match="Dnsbl: zones: expected a table or an array, found 4"):
        Dnsbl(zones=4)
    with pytest.raises(ValueError, match=r'zones."bl.example": 127.0.0.2: expected "deny"'):
        Dnsbl(zones={"bl.example": {"127.0.0.2": "refuse"}})


def test_gatepost_check_gets_the_lists_with_usual_test_entries_and_without_keys():
    tables = {"example.com": {"zones": ["own.example"]}}
    zones = {"a.example": 1, "{k}.b.example": 1, "c.example": {"test": ""}}
    plugin = Dnsbl(zones=zones, keys={"k": "secret"}, options_for=tables)
    assert list(plugin.dns_lists) == ["a.example", "own.example"]
    assert plugin.uses_dns
