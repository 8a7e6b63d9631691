import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.model.address import (
    MAX_DOMAIN,
    MAX_LOCAL,
    NULL_PATH,
    Address,
    AddressError,
    domain_key,
    parse_domain,
    quote,
    unquote,
    without_tag,
)

ATEXT = "aB0!#$%&'*+-/=?^_`{|}~é猫\U0001f4e8"
ATOMS = st.text(st.sampled_from(ATEXT), min_size=1, max_size=8)
DOT_STRINGS = st.lists(ATOMS, min_size=1, max_size=3).map(".".join)
# Quotes can contain any printable character; a quote and a backslash follow a backslash.
QUOTED = st.lists(
    st.sampled_from([*ATEXT, " ", ".", "..", "@", "<", ">", ",", '\\"', "\\\\", "\\a", "\\ "]),
    max_size=8,
).map(lambda parts: f'"{"".join(parts)}"')
LABELS = st.from_regex(r"[A-Za-z0-9é猫]{1,3}(-{1,2}[a-z0-9]{1,2})?", fullmatch=True)
DOMAINS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
LITERALS = (
    st.ip_addresses(v=4).map(lambda ip: f"[{ip}]")
    | st.ip_addresses(v=6).map(lambda ip: f"[IPv6:{ip}]")
    | st.just("[tag:any!thing]")
)
MAILBOXES = st.builds("{}@{}".format, DOT_STRINGS | QUOTED, DOMAINS | LITERALS)


@given(MAILBOXES)
def test_a_written_address_parses_to_the_same_address(text):
    address = Address.parse(text)
    assert Address.parse(str(address)) == address


@given(st.text() | st.from_regex(r'("[^"]*"|[a-z.]+)@(\[[!-~]*\]|[a-z.-]+)', fullmatch=True))
def test_any_text_is_an_address_or_raises_address_error(text):
    try:
        address = Address.parse(text)
    except AddressError:
        return
    assert Address.parse(str(address)) == address
    assert not set(str(address)) & set("\r\n\0")


@given(st.text())
def test_unquote_reverses_quote(local):
    assert unquote(quote(local)) == local


@given(DOMAINS)
def test_a_domain_key_is_its_own_key(domain):
    assert domain_key(domain_key(domain)) == domain_key(domain)
    assert domain_key(domain.upper()) == domain_key(domain)


@pytest.mark.parametrize(
    ("text", "address", "written"),
    [
        ("a@b", Address("a", "b"), "a@b"),
        ('"a"@b', Address("a", "b"), "a@b"),
        ('"a b"@c', Address("a b", "c"), '"a b"@c'),
        ('"a\\"b"@c', Address('a"b', "c"), '"a\\"b"@c'),
        ('""@c', Address("", "c"), '""@c'),
        ("A@B.C", Address("A", "B.C"), "A@B.C"),
        ("a@[IPv6:::1]", Address("a", "[IPv6:::1]"), "a@[IPv6:::1]"),
    ],
)
def test_an_address_is_parsed_and_written(text, address, written):
    assert Address.parse(text) == address
    assert str(address) == written
    assert address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "@b",
        "a@",
        "a@b@c",
        "<a@b>",
        "a b@c",
        "a@b\n",
        "\na@b",
        "a@b c",
        '"\n"@b',
        '"a\0"@b',
    ],
)
def test_malformed_text_is_refused(text):
    with pytest.raises(AddressError) as caught:
        Address.parse(text)
    assert str(caught.value) == f"expected local-part@domain, found {text!r}"


@pytest.mark.parametrize(
    "literal",
    [
        "[x]", "[tag:]", "[1.2.3]", "[1.2.3.4.5]", "[1.2.3.256]", "[01.2.3.4]", "[::1]x", "[IPv6:]",
        "[IPv6:1.2.3.4]", "[IPv6:::1%25]", "[IPv6:fe80::1%eth0]", "[IPv6:1:2:3:4:5:6:7:8:9]",
        "[-:a]",
    ],
)  # fmt: skip
def test_a_malformed_literal_is_refused(literal):
    with pytest.raises(AddressError):
        Address.parse(f"a@{literal}")


def test_the_error_for_a_literal_quotes_it():
    with pytest.raises(AddressError, match=r"^expected an address literal, found '\[1\.2\.3\]'$"):
        Address.parse("a@[1.2.3]")


def test_longer_parts_are_refused():
    longest = f"{'a' * MAX_LOCAL}@{'b' * MAX_DOMAIN}"
    assert str(Address.parse(longest)) == longest
    for text in (f"a{longest}", f"{longest}b"):
        with pytest.raises(AddressError) as caught:
            Address.parse(text)
        assert str(caught.value) == "longer than 256 (local part) or 255 (domain)"


def test_the_null_path_is_false_and_postmaster_has_no_domain():
    assert not NULL_PATH
    assert str(NULL_PATH) == ""
    assert Address("Postmaster", "")
    assert str(Address("Postmaster", "")) == "Postmaster"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("A@B.Example", "a@b.example"),
        ('"A b"@C', "a b@c"),
        ("a@Müller.example", "a@xn--mller-kva.example"),
        ("a@xn--mller-kva.EXAMPLE", "a@xn--mller-kva.example"),
        ("a@mu\u0308ller.example", "a@xn--mller-kva.example"),
        ("a@[IPv6:2001:DB8::1]", "a@[ipv6:2001:db8::1]"),
        (f"a@{'Ü' * 80}.example", f"a@{'ü' * 80}.example"),
    ],
)
def test_spellings_of_a_mailbox_share_a_key(text, key):
    assert Address.parse(text).key == key


def test_a_domain_is_parsed_to_its_key():
    assert parse_domain("Müller.EXAMPLE") == "xn--mller-kva.example"
    assert parse_domain("a" * 255) == "a" * 255
    for text in ("", ".", "a.", "a b", "-a", "a_b", "[1.2.3.4]", "a\n", "a" * 256):
        with pytest.raises(AddressError) as caught:
            parse_domain(text)
        assert str(caught.value) == f"expected a domain name, found {text[:80]!r}"


@pytest.mark.parametrize(
    ("local", "separator", "user"),
    [
        ("user+tag", "+", "user"),
        ("user+a+b", "+", "user"),
        ("user", "+", "user"),
        ("+tag", "+", "+tag"),
        ("+tag+more", "+", "+tag"),
        ("user+", "+", "user"),
        ("user+tag", "", "user+tag"),
        ("user-tag", "-", "user"),
        ("", "+", ""),
    ],
)
def test_the_tag_is_removed(local, separator, user):
    assert without_tag(local, separator) == user
