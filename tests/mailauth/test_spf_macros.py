import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mailauth.hosts import MAX_NAME
from gatepost.mailauth.spf.client import Client
from gatepost.mailauth.spf.macros import MAX_EXPLANATION, parse_macros
from gatepost.mailauth.spf.problem import ExpectedError

SENDER = "strong-bad@email.example.com"
DOMAIN = "email.example.com"


def values(ip="192.0.2.3", sender=SENDER, helo="mx.example.org"):
    client = Client(ip, sender, helo, "receiver.example", 1_700_000_000)
    return client.values(DOMAIN, "mx.example.org")


# RFC 7208 s7.4, and more transformers
@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ("%{p}.%{h}", "mx.example.org.mx.example.org"),
        ("%{d1000000}.%{d001}", "email.example.com.com"),
        ("%%%_%-", "% %20"),
        ("%{D2}", "example.com"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("%{c} %{r} %{t}", "192.0.2.3 receiver.example 1700000000"),
    ],
)
def test_macros_are_expanded_as_in_the_rfc(text, expanded):
    assert parse_macros(text).explanation(values()) == expanded


def test_an_ipv6_address_is_a_list_of_digits_and_readable():
    found = parse_macros("%{ir}.%{v} %{c}").explanation(values("2001:DB8::CB01"))
    digits = "1.0.B.C" + ".0" * 20 + ".8.B.D.0.1.0.0.2"
    assert found == f"{digits}.ip6 2001:db8::cb01"


def test_the_scope_of_an_ipv6_address_is_dropped():
    assert parse_macros("%{c}").explanation(values("fe80::1%eth0")) == "fe80::1"


def test_an_ipv4_address_within_ipv6_is_an_ipv4_address():
    assert parse_macros("%{i} %{v}").explanation(values("::ffff:192.0.2.3")) == "192.0.2.3 in-addr"


def test_several_delimiters_split_alike():
    found = parse_macros("%{lr+-}").name(values(sender="a-b+c.d@x.example"))
    assert found == "c.d.b.a"


def test_the_null_sender_is_postmaster_at_the_helo_name():
    assert parse_macros("%{s}").explanation(values(sender="")) == "postmaster@mx.example.org"


def test_a_name_has_no_final_dot():
    assert parse_macros("a.example.").name({}) == "a.example"
    assert parse_macros("%{d}.example.").name(values()) == "email.example.com.example"


def test_whole_labels_are_cut_on_the_left_of_a_long_name():
    label = "a" * 49 + "."
    assert parse_macros(label * 5 + "%{d1}").name(values()) == label * 5 + "com"
    assert parse_macros("%{d1}." + label * 5 + "com").name(values()) == label * 5 + "com"
    assert parse_macros(label * 5 + "com").name({}) == label * 5 + "com"
    assert parse_macros("x" + label * 5 + "com").name({}) == label * 4 + "com"
    assert parse_macros("x" * 4 + label * 5 + "%{d1}").name(values()) == label * 4 + "com"


def test_an_explanation_is_cut_and_printable():
    assert len(parse_macros("%{s}" * 1000).explanation(values())) == MAX_EXPLANATION
    assert parse_macros("%{l}").explanation(values(sender="ä\n@x.example")) == "??"


def test_an_uppercase_letter_escapes_for_a_url():
    found = parse_macros("%{L}").explanation(values(sender="a b/\ud800ä~_.-@x.example"))
    assert found == "a%20b%2F%3F%C3%A4~_.-"


@given(st.text(st.sampled_from("%{}dlsir12-+.=abc ")), st.text(max_size=30), st.text(max_size=300))
def test_any_text_with_macros_gives_a_bounded_name(text, sender, helo):
    try:
        parsed = parse_macros(text)
    except ExpectedError:
        return
    facts = values(sender=sender, helo=helo)
    assert len(parsed.explanation(facts)) <= MAX_EXPLANATION
    assert len(parsed.name(facts)) <= MAX_NAME
