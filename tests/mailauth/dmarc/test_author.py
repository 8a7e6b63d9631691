"""The author domain."""

import email.policy
from email.headerregistry import Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatepost.mailauth.dmarc import read_author
from gatepost.mailauth.dmarc.author import MAX_FIELD


def author(value):
    return read_author(f"To: b@other.example\r\nFrom: {value}\r\nX: y\r\n\r\n".encode())


@pytest.mark.parametrize(
    "value",
    [
        "a@x.example",
        " <a@X.Example> ",
        "Ann <a@x.example>",
        '"Ann <b@y.example>" <a@x.example>',
        "b@y.example <a@x.example>",  # not by the grammar, and in use
        "(b@y.example) a@x.example (c, \\) d@z.example)",
        "a (c1) @ (c2) x (c3 (c4)) . example (c5)",
        "Ann\r\n <a@x.example>",
        "a@x.example, b@x.example",
        "Ann <a@x.example>, b@X.EXAMPLE.,",
        "Team: a@x.example, B <b@x.example>;",
        "Team: ; , a@x.example;",
        "Re: Ann <a@x.example>",
        "<@relay.example,@b.example:a@x.example>",
        '"a b@y.example"@x.example',
        "a..b.@x.example",
        "=?utf-8?q?b=40y.example?= <a@x.example>",
        "=?utf-8?b?YUB5LmV4YW1wbGU=?= <a@x.example>",
        "J\u00fcrgen\u00a0M. <j\u00fcrgen@x.example>",
        "Smith, Ann <a@x.example>".replace("Smith, ", '"Smith, " '),
        "Dr. A. B. <a@x.example>",
    ],
)
def test_one_domain_is_found(value):
    assert author(value) == ("x.example", "")


@pytest.mark.parametrize(
    ("value", "domain"),
    [
        ("a@M\u00fcller.example", "xn--mller-kva.example"),
        ("a@xn--MLLER-kva.example", "xn--mller-kva.example"),
        ("a@b\u3002example", "b.example"),
        ("a@localhost", "localhost"),
        ("a@_x.example", "_x.example"),
        ("a@xn--mller-kva.example, b@m\u00fcller.example", "xn--mller-kva.example"),
    ],
)
def test_the_domain_is_in_canonical_form(value, domain):
    assert author(value) == (domain, "")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "From has no address"),
        ("undisclosed:;", "From has no address"),
        ("Ann", "From has an address without one @: 'Ann'"),
        ("Ann <>", "From has an address without one @: ''"),
        ("=?utf-8?q?a=40x.example?=", "From has an address without one @"),
        ("a@x.example, b@y.example", "From has addresses of several domains: x.example, y.exa"),
        ("a@a, a@b, a@c, a@d", "From has addresses of several domains: a, b, c …"),
        ("Smith, Ann <a@x.example>", "From has an address without one @: 'Smith'"),
        ("a@b@x.example", "From has an address without one @: 'a@b@x.example'"),
        ("a@[192.0.2.1]", "From has an address without a domain name"),
        ("a@", "From has an address without a domain name"),
        ("@x.example", "From has a wrong local part"),
        ("Ann a@x.example", "From has a wrong local part"),
        ("a@x example", "From has an address without a domain name"),
        ("a@x..example", "From has a wrong address: expected a domain name, found 'x..example'"),
        ("a@x.\ufffd", "From has a wrong address: expected a domain name"),
        (f"a@{'x' * 64}.example", "From has a wrong address: expected at most 255 octets"),
        ("<a@x.example", "From has angle brackets that do not match"),
        ("a@x.example>", "From has angle brackets that do not match"),
        ("<a@x.example> <a@y.example>", "From has angle brackets that do not match"),
        ("<a@x.example> b", "From has angle brackets that do not match"),
        ("<<a@x.example>>", "From has angle brackets that do not match"),
        ('"Ann <a@x.example>', "From cannot be read from '\"Ann <a@x.example>'"),
        ("a@x.example\0", "From cannot be read from '\\x00'"),
        ("(a@x.example", "From has a comment that does not end"),
        (f"{'(' * 200}c{')' * 200} a@x.example", "From has a comment that does not end"),
        ("a" * MAX_FIELD, f"From has more than {MAX_FIELD} octets"),
    ],
)
def test_other_fields_have_no_author_domain(value, problem):
    found = author(value)
    assert found.domain == ""
    assert found.problem.startswith(problem)


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        (b"", "no From field"),
        (b"To: a@x.example\r\n\r\n", "no From field"),
        (b"From : a@x.example\r\nfrom: a@x.example\r\n\r\n", "more than one From field"),
        (b"From: a@\xff.example\r\n", "From has a wrong address: expected a domain name"),
    ],
)
def test_a_message_needs_one_from_field(block, problem):
    assert read_author(block).problem.startswith(problem)


PIECES = st.sampled_from(
    [
        *'<>@,;:"()[]\\. \t',
        "\r\n ",
        "a",
        "x.example",
        "a@x.example",
        "=?utf-8?q?a?=",
        "\u00fc",
        "\0",
    ]
)


@given(st.binary() | st.lists(PIECES).map(lambda parts: f"From: {''.join(parts)}\r\n".encode()))
@example(b"From: " + b"a@b," * 4000)
@example(b"From: " + b"(" * 16_000)
@example(b"From: " + b'"\\' * 8_000)
@example(b"From: " + b"<" * 16_000)
def test_any_field_has_a_domain_or_a_problem(block):
    found = read_author(block)
    assert bool(found.domain) != bool(found.problem)
    assert found.domain.isascii()
    assert found.domain == found.domain.lower()


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]))
locals_ = st.from_regex(r"[a-z][a-z0-9.!#$%&'*+/=?^_`{|}~-]{0,20}", fullmatch=True)


@given(names, locals_)
def test_what_the_standard_library_writes_is_read(name, local):
    written = str(Address(display_name=name, username=local, domain="x.example"))
    message = email.message.EmailMessage(email.policy.SMTP)
    message["From"] = written
    assert read_author(bytes(message)).domain == "x.example"
