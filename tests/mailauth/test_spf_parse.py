import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mailauth.spf import RecordError, is_record, parse_record
from gatepost.mailauth.spf.parse import _parse

DOMAIN = "a domain that ends with a dot and a top-level domain, or with a macro"
MACRO = "a macro such as %{i}, %%, %_ or %-"


def terms(text):
    record = parse_record(text)
    return [(one.result, one.name, one.bits) for one in record.mechanisms]


def test_terms_have_result_name_and_prefix_lengths():
    assert terms("v=spf1 a ~MX/24 ?ptr -ip4:192.0.2.0/25 +a:b.example/16//48 ip6:::/0 all") == [
        ("pass", "a", (32, 128)),
        ("softfail", "mx", (24, 128)),
        ("neutral", "ptr", (32, 128)),
        ("fail", "ip4", (25, 0)),
        ("pass", "a", (16, 48)),
        ("pass", "ip6", (0, 0)),
        ("pass", "all", (32, 128)),
    ]


def test_modifiers_are_read_anywhere_and_unknown_ones_are_ignored():
    record = parse_record("v=spf1 redirect=_spf.%{d2} x-y.z_1= -all EXP=e.example other=%{i}/%%")
    assert record.redirect.text == "redirect=_spf.%{d2}"
    assert record.explanation.text == "EXP=e.example"
    assert len(record.mechanisms) == 1


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("v=spf1", True),
        ("V=SPF1 -all", True),
        ("v=spf1 ", True),
        ("v=spf10", False),
        ("v=spf1\t-all", False),
        (" v=spf1", False),
        ("v=spf2 -all", False),
        ("", False),
    ],
)
def test_a_record_begins_with_its_version_and_a_blank(text, answer):
    assert is_record(text) is answer


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("all:x", "nothing after the name"),
        ("include", "a colon and a domain after the name"),
        ("exists/24", "a colon and a domain after the name"),
        ("ptr/24", "a colon and a domain after the name"),
        ("a:", "a domain"),
        ("redirect=", "a domain"),
        ("a:museum", DOMAIN),
        ("a:example.-com", DOMAIN),
        ("a:example.com-", DOMAIN),
        ("a:example.com:8080", DOMAIN),
        ("a:example.com/032", DOMAIN),
        ("a:abc.123", DOMAIN),
        ("a:192.0.2.1", "a domain; use ip4: for an IP address"),
        ("mx:192.0.2.0/24", "a domain; use ip4: for an IP address"),
        ("a/33", "a prefix length of at most 32"),
        ("a//129", "a prefix length of at most 128"),
        ("a/24/64", "a colon and a domain after the name"),
        ("ip4", "a colon and an IP address after the name"),
        ("ip4:192.0.2", "an IPv4 address, such as ip4:192.0.2.0/24"),
        ("ip4:192.0.2.0/33", "a prefix length of at most 32"),
        ("ip4:::1", "an IPv4 address, such as ip4:192.0.2.0/24"),
        ("ip6:192.0.2.1", "an IPv6 address, such as ip6:2001:db8::/32"),
        ("ip6:fe80::1%eth0", "an IPv6 address, such as ip6:2001:db8::/32"),
        ("ip6:::/129", "a prefix length of at most 128"),
        ("ip:192.0.2.1", "a mechanism (all, include, a, mx, ptr, ip4, ip6, exists)"),
        ("=all", "a mechanism or a modifier"),
        ("-", "a mechanism or a modifier"),
        ("-exp=a.example", "no qualifier in front of a modifier"),
        ("exists:%(ir).example", MACRO),
        ("exists:%{x}.example", MACRO),
        ("exists:a.example%", MACRO),
        ("exists:%{i1x}.example", MACRO),
        ("exists:%{i00}.example", "a number of parts above 0 in a macro"),
        ("exists:%{c}.example", "no macro c, r or t outside of an explanation"),
        ("x=%{T}", "no macro c, r or t outside of an explanation"),
        ("x=%", MACRO),
        ("a:exämple.com", "printable ASCII characters"),
        ("a:b.example\x00", "printable ASCII characters"),
    ],
)
def test_an_error_has_the_place_the_term_and_the_expected_form(term, expected):
    with pytest.raises(RecordError) as caught:
        parse_record(f"v=spf1 mx  {term} -all")
    shown = ascii(term)[1:-1]
    assert str(caught.value) == f"term 2 ({shown}): expected {expected}"


def test_a_modifier_that_stands_twice_is_an_error():
    with pytest.raises(RecordError) as caught:
        parse_record("v=spf1 redirect=a.example x=1 x=2 redirect=b.example")
    assert str(caught.value) == "term 4 (redirect=b.example): expected redirect= only once"


def test_a_long_term_is_cut_in_the_error():
    with pytest.raises(RecordError) as caught:
        parse_record(f"v=spf1 {'x' * 5000}")
    assert str(caught.value).startswith(f"term 1 ({'x' * 100}...): expected a mechanism")


def test_a_record_that_is_too_long_for_the_cache_is_the_same():
    text = "v=spf1 " + " ".join(f"ip4:192.0.2.{number}" for number in range(200))
    assert parse_record(text) == _parse(text)
    assert len(parse_record(text).mechanisms) == 200


NOISE = st.text(st.sampled_from(string.printable + "ä\x00"), max_size=40)
PIECES = st.sampled_from(
    [
        *("a", "mx", "ptr", "ip4:", "ip6:", "include:", "exists:", "all", "redirect=", "exp="),
        *(":", "/", "//", "24", "%{", "}", "%{d}", "%{ir-}", "%%", ".com", "::", "192.0.2.1", "-"),
    ]
)


@given(st.lists(st.one_of(st.just(" "), PIECES, NOISE), max_size=12).map("".join))
def test_any_text_is_a_record_or_an_error(text):
    problem, mechanisms = "", ()
    try:
        mechanisms = parse_record(f"v=spf1 {text}").mechanisms
    except RecordError as error:
        problem = str(error)
    assert problem.isascii()
    assert problem.isprintable()
    assert len(mechanisms) <= len(text.split(" "))
