"""Subjects: what an entry can allow, and what is refused or warned of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.allow.subject import Kind, SubjectError, parse_subject


@pytest.mark.parametrize(
    ("text", "kind", "written"),
    [
        ("192.0.2.0/24", Kind.CLIENT, "192.0.2.0/24"),
        ("192.0.2.7", Kind.CLIENT, "192.0.2.7/32"),
        ("::ffff:192.0.2.7", Kind.CLIENT, "192.0.2.7/32"),
        ("2001:db8::7", Kind.CLIENT, "2001:db8::/64"),
        ("2001:db8::7/128", Kind.CLIENT, "2001:db8::7/128"),
        ("Example.COM", Kind.DOMAIN, "example.com"),
        ("@example.com", Kind.DOMAIN, "example.com"),
        ("bücher.example", Kind.DOMAIN, "xn--bcher-kva.example"),
        (" Alice@Example.com ", Kind.SENDER, "alice@example.com"),
        ("to:Bob@Example.com", Kind.RECIPIENT, "to:bob@example.com"),
    ],
)
def test_a_subject_has_one_canonical_text(text, kind, written):
    found = parse_subject(text)
    assert (found.kind, str(found)) == (kind, written)
    assert parse_subject(str(found)) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected an IP address"),
        ("localhost", "found 'localhost'"),
        ("192.0.2.0/33", "expected an IP address"),
        ("192.0.2.300", "expected an IP address"),
        ("192.0.2.7/24", "did you mean 192.0.2.0/24?"),
        ("to:example.com", "expected local-part@domain"),
        ("a b@example.com", "expected local-part@domain"),
        ("exa mple.com", "expected an IP address"),
        ("x\x1b.com", r"found 'x\x1b.com'"),
        ("a" * 2000 + ".com", "expected an IP address"),
    ],
)
def test_other_text_is_refused_with_what_was_expected(text, expected):
    with pytest.raises(SubjectError) as raised:
        parse_subject(text)
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    ("text", "objection"),
    [
        ("10.0.0.0/8", "at least /16"),
        ("2001::/16", "at least /32"),
        ("0.0.0.0/0", "at least /16"),
        ("co.uk", "many organisations"),
    ],
)
def test_a_subject_that_is_too_wide_has_an_objection(text, objection):
    assert objection in " ".join(parse_subject(text).objections())


@pytest.mark.parametrize("text", ["192.0.0.0/16", "2001:db8::/32", "example.com", "to:a@b.example"])
def test_other_subjects_have_no_objection(text):
    assert not list(parse_subject(text).objections())


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("209.85.128.0/24", "big provider"),
        ("outlook.com", "big provider"),
        ("mail.outlook.com", "big provider"),
        ("to:alice@example.com", "all spam to alice@example.com"),
    ],
)
def test_a_subject_that_allows_more_has_a_warning(text, warning):
    assert warning in " ".join(parse_subject(text).warnings())


@pytest.mark.parametrize("text", ["192.0.2.0/24", "example.com", "alice@outlook.com"])
def test_other_subjects_have_no_warning(text):
    assert not list(parse_subject(text).warnings())


def test_the_words_of_a_subject_name_what_is_allowed():
    assert parse_subject("example.com").about == (
        "mail that SPF or DKIM has proven to be of example.com and the domains below it"
    )
    assert parse_subject("192.0.2.1").about == "mail of the clients in 192.0.2.1/32"


@given(st.text(max_size=60))
def test_any_text_is_a_subject_or_an_error(text):
    try:
        found = parse_subject(text)
    except SubjectError:
        return
    assert parse_subject(str(found)) == found
