import re
import sys
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.model import punycode
from gatepost.model.address import (
    DOMAIN,
    DOT_STRING,
    LENIENT_DOMAIN,
    LENIENT_MAILBOX,
    MAX_LABEL,
    MAX_LOCAL,
    NULL_PATH,
    Address,
    AddressError,
    _to_a_labels,
    domain_key,
    local_key,
    parse_domain,
    quote,
    unquote,
    without_tag,
)

LONGEST_DOMAIN = ".".join(["b" * 63] * 4)
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
        ("a@my_host.example.", Address("a", "my_host.example"), "a@my_host.example"),
        ("a..b@c", Address("a..b", "c"), '"a..b"@c'),
        (".a.@c", Address(".a.", "c"), '".a."@c'),
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
        "[-:a]", "[::1]", "[2001:db8::1]", "[2001:db8:1:2:3:4:5:6]", "[fe80::1%eth0]",
    ],
)  # fmt: skip
def test_a_malformed_literal_is_refused(literal):
    with pytest.raises(AddressError):
        Address.parse(f"a@{literal}")


def test_the_error_for_a_literal_quotes_it():
    with pytest.raises(AddressError, match=r"^expected an address literal, found '\[1\.2\.3\]'$"):
        Address.parse("a@[1.2.3]")


def test_longer_parts_are_refused():
    longest = f"{'a' * MAX_LOCAL}@{LONGEST_DOMAIN}"
    assert str(Address.parse(longest)) == longest
    for text in (f"a{longest}", f"{longest}b"):
        with pytest.raises(AddressError, match=r"^expected "):
            Address.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        f"a@{'b' * 64}",
        f"a@{'b' * 64}.example",
        f"a@example.{'b' * 64}",
        f"a@{'b' * 64}.",
        f"a@{LONGEST_DOMAIN}b",
        f"a@{'ü' * 58}.example",  # 64 octets as A-label
        f"a@{'.'.join(['ü' * 20] * 7)}",  # 255 octets in A-labels, more in UTF-8
        f"a@{'.'.join(['ü'] * 30)}.{'b' * 50}",  # the reverse
        f"a@e{chr(0x301) * 127}",
        f"{'ü' * 129}@b",
        "a@a\uff0fb",  # mapped to "/"
        "a@a\uff20b",  # mapped to "@"
        "a@a\ufffdb",  # disallowed by UTS 46
    ],
)
def test_a_domain_over_a_limit_or_without_a_canonical_form_is_refused(text):
    with pytest.raises(AddressError):
        Address.parse(text)


def test_the_longest_labels_are_accepted():
    assert Address.parse(f"a@{'b' * 63}").key == f"a@{'b' * 63}"
    key = Address.parse(f"a@{'ü' * 57}").key
    assert key.startswith("a@xn--")
    assert len(key) == len("a@") + MAX_LABEL


def test_a_malformed_domain_of_a_plugin_has_a_key():
    assert domain_key("A\uff0fB") == "a\uff0fb"
    assert domain_key("[IPv6:X]") == "[ipv6:x]"
    assert domain_key("\ud800") == "\ud800"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
def test_a_local_key_is_its_own_key(local):
    assert local_key(local_key(local)) == local_key(local)
    assert local_key(normalize("NFD", local)) == local_key(local)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map("{}.example".format))
def test_any_text_as_a_domain_has_a_key_that_is_its_own(domain):
    assert domain_key(domain_key(domain)) == domain_key(domain)


@given(st.text(max_size=59).filter(lambda label: not label.isascii()))
def test_punycode_agrees_with_the_standard_library(label):
    try:
        expected = label.encode("punycode").decode()
    except UnicodeError:  # surrogates
        return
    assert punycode.encode(label, len(expected)) == expected
    with pytest.raises(ValueError):
        punycode.encode(label, len(expected) - 1)


def test_the_cache_of_domains_is_bounded():
    for number in range(2000):
        domain_key(f"ü{number}.example")
    info = _to_a_labels.cache_info()
    assert info.currsize <= info.maxsize == 1024


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
        ("a@Example.COM.", "a@example.com"),
        ("a@[IPv6:2001:db8:0:0::1]", "a@[ipv6:2001:db8::1]"),
        # IDNA 2008 refuses these domains.
        ("a@☃.example", "a@xn--n3h.example"),
        ("a@XN--N3H.example.", "a@xn--n3h.example"),
        ("a@I\u2665NY.example", "a@xn--iny-zx5a.example"),
        # UTS 46: full width, ideographic full stops, final sigma and sharp s stay distinct
        ("a@\uff25xample\u3002com", "a@example.com"),
        ("a@Straße.example", "a@xn--strae-oqa.example"),
        # simple case folding
        ("ΤΡΑΠΣ@b", "τραπσ@b"),
        ("τραπς@b", "τραπσ@b"),
        ("Straẞe@b", "straße@b"),
        ("MU\u0308LLER@b", "müller@b"),
        ("\u212a@b", "k@b"),
    ],
)
def test_spellings_of_a_mailbox_share_a_key(text, key):
    assert Address.parse(text).key == key


def test_a_domain_is_parsed_to_its_key():
    assert parse_domain("Müller.EXAMPLE") == "xn--mller-kva.example"
    assert parse_domain("Example.com.") == "example.com"
    assert parse_domain(LONGEST_DOMAIN) == LONGEST_DOMAIN
    for text in ("", ".", "a..", "a b", "-a", "[1.2.3.4]", "a\n"):
        with pytest.raises(AddressError) as caught:
            parse_domain(text)
        assert str(caught.value) == f"expected a domain name, found {text[:80]!r}"
    with pytest.raises(AddressError, match=r"^expected at most 255 octets, and 63 between dots"):
        parse_domain("a" * 64)


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
        ("user+tag", "+-", "user"),
        ("user-tag", "+-", "user"),
        ("user-a+b", "+-", "user"),
        ("user+a-b", "+-", "user"),
        ("user+a-b", "-+", "user"),
        ("+user-tag", "+-", "+user"),
        ("-+", "+-", "-"),
        ("user.tag", "+-", "user.tag"),
    ],
)
def test_the_tag_is_removed(local, separator, user):
    assert without_tag(local, separator) == user


# RFC 6531 s3.3: UTF-8 without C1 controls, surrogates and the noncharacters of the first plane.
UTF8 = [(0xA0, 0xD7FF), (0xE000, 0xFDCF), (0xFDF0, 0xFFFD), (0x10000, sys.maxunicode)]
LETTERS = {*"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"}
ALL_ATEXT = LETTERS | {*"!#$%&'*+/=?^_`{|}~-"}


@pytest.mark.parametrize(
    ("pattern", "around", "ascii_part"),
    [
        (DOT_STRING, "{}", ALL_ATEXT),
        (DOMAIN, "{}", LETTERS),
        (LENIENT_DOMAIN, "{}", LETTERS | {"_"}),
        (LENIENT_MAILBOX, "{}@b", ALL_ATEXT | {"."}),
        (LENIENT_MAILBOX, '"{}"@b', {*map(chr, range(32, 127))} - {'"', "\\"}),
    ],
)
def test_exactly_these_characters_are_allowed(pattern, around, ascii_part):
    matches = re.compile(pattern).fullmatch
    allowed = {
        number for number in range(sys.maxunicode + 1) if matches(around.format(chr(number)))
    }
    beyond = {number for first, last in UTF8 for number in range(first, last + 1)}
    assert allowed == beyond | set(map(ord, ascii_part))
