"""The grammar of a line: entries and errors."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatepost.lists.entry import (
    MAX_LINE,
    EntryKind,
    LineError,
    ListEntry,
    parse_line,
    parse_octets,
    parse_or_error,
)
from gatepost.log.printable import printable
from gatepost.model.address import Address


@pytest.mark.parametrize(
    ("line", "kind", "key", "text", "note"),
    [
        ("trap@example.com", EntryKind.ADDRESS, "trap@example.com", "trap@example.com", ""),
        (" trap@example.com\t", EntryKind.ADDRESS, "trap@example.com", "trap@example.com", ""),
        (
            "trap@example.com a note ",
            EntryKind.ADDRESS,
            "trap@example.com",
            "trap@example.com",
            "a note",
        ),
        ("a+b@example.com", EntryKind.ADDRESS, "a+b@example.com", "a+b@example.com", ""),
        ('"Trap"@Example.COM', EntryKind.ADDRESS, "trap@example.com", '"Trap"@Example.COM', ""),
        ('"a b"@x.example old', EntryKind.ADDRESS, "a b@x.example", '"a b"@x.example', "old"),
        (r'"a\"b"@x.example', EntryKind.ADDRESS, 'a"b@x.example', r'"a\"b"@x.example', ""),
        (
            "T@Bücher.example",
            EntryKind.ADDRESS,
            "t@xn--bcher-kva.example",
            "T@Bücher.example",
            "",
        ),
        ("t@[192.0.2.1]", EntryKind.ADDRESS, "t@[192.0.2.1]", "t@[192.0.2.1]", ""),
        ("@Example.com note", EntryKind.DOMAIN, "@example.com", "@Example.com", "note"),
        ("@bücher.example", EntryKind.DOMAIN, "@xn--bcher-kva.example", "@bücher.example", ""),
        ("@[192.0.2.1]", EntryKind.DOMAIN, "@[192.0.2.1]", "@[192.0.2.1]", ""),
        (
            "/^sales-[0-9]+@/ shop",
            EntryKind.PATTERN,
            "/^sales-[0-9]+@/",
            "/^sales-[0-9]+@/",
            "shop",
        ),
        ("/a/b/ see / there /", EntryKind.PATTERN, "/a/b/", "/a/b/", "see / there /"),
        (r"/a\/ b/", EntryKind.PATTERN, r"/a\/ b/", r"/a\/ b/", ""),
    ],
)
def test_a_line_is_parsed(line, kind, key, text, note):
    assert parse_line(line, "traps", 7) == ListEntry(kind, key, text, note, "traps", 7)


def test_a_quoted_asterisk_is_an_address():
    assert parse_line('"*"@example.com', "traps", 1).key == "*@example.com"


@pytest.mark.parametrize("line", ["", "  \t", "# comment", "  # trap@example.com", "\r\n"])
def test_comments_and_blank_lines_are_ignored(line):
    assert parse_line(line, "traps", 1) is None


_ADDRESS = "local-part@domain, @domain or /pattern/"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("postmaster", _ADDRESS),
        ("a@b@c", _ADDRESS),
        ("a@", _ADDRESS),
        ('"a b@x.example', _ADDRESS),
        ("a@" + "b" * 256, _ADDRESS),
        ('""@example.com', "a local part that is not empty"),
        ("*@Spam.example.com", "@Spam.example.com for a whole domain, or /pattern/"),
        ("*@spam.example.com a note", "@spam.example.com for a whole domain, or /pattern/"),
        ("sales-*@example.com", "@example.com for a whole domain, or /pattern/"),
        ("*", _ADDRESS),
        ("*.example.com", _ADDRESS),
        ("@*.example.com", "a domain name after the @"),
        ("@", "a domain name after the @"),
        ("@.example.com", "a domain name after the @"),
        ("@[192.0.2.12", "a domain name after the @"),
        ("//", "a pattern between the slashes"),
        ("/abc", "a / that ends the pattern"),
        ("/abc/x", "a / that ends the pattern"),
        ("/(/", "a regular expression of RE2 (missing ): ()"),
        ("/a(?=b)/", "a regular expression of RE2 (invalid perl operator: (?=)"),
        (r"/(a)\1/", r"a regular expression of RE2 (invalid escape sequence: \1)"),
        ("/a++/", "a regular expression of RE2 (bad repetition operator: ++)"),
        ("/a{2000}/", "a regular expression of RE2 (invalid repetition size: {2000})"),
        (r"/\pL{200}/", "a simpler regular expression"),
        ("/\udc80/", "a regular expression in UTF-8"),
        ("a\0@example.com", "text without control characters"),
        ("a@example.com note\x1b[2J", "text without control characters"),
    ],
)
def test_a_bad_line_is_reported(line, expected):
    with pytest.raises(LineError) as caught:
        parse_line(line, "traps", 3)
    assert str(caught.value) == f"traps:3: expected {expected}, found '{printable(line[:80])}'"
    assert (caught.value.source, caught.value.line) == ("traps", 3)


def test_byte_order_mark_and_cr_are_removed():
    entry = parse_octets(b"\xef\xbb\xbftrap@example.com\r\n", "t", 1)
    assert entry == ListEntry(EntryKind.ADDRESS, "trap@example.com", "trap@example.com", "", "t", 1)


def test_octets_that_are_not_utf8_are_refused():
    with pytest.raises(LineError, match=r"^t:1: expected UTF-8, found 'a\\xff@x'$"):
        parse_octets(b"a\xff@x", "t", 1)


def test_a_long_line_is_refused():
    with pytest.raises(
        LineError, match=r"^t:1: expected a line of at most 8192 octets, found 'xxx"
    ):
        parse_octets(b"x" * (MAX_LINE + 1), "t", 1)


_pieces = st.sampled_from(
    ["a", "B", "@", "/", '"', "\\", "+", "-", ".", " ", "\t", "[", "]", "#", "\0", "é", "ü.x", "("]
)


@given(st.one_of(st.text(), st.lists(_pieces).map("".join)))
@example("@\u3002")
def test_any_text_is_an_entry_or_an_error(text):
    item = parse_or_error(parse_line, text, "t", 1)
    assert item is None or (item.line == 1 and item.source == "t")


@given(st.binary())
def test_any_octets_are_an_entry_or_an_error(raw):
    item = parse_or_error(parse_octets, raw, "t", 1)
    assert item is None or (item.line == 1 and item.source == "t")


# Within the limits of local parts and labels.
_PLAIN = (
    r"[a-z0-9_+=-]{1,30}(\.[a-z0-9_+=-]{1,30})?@[a-z0-9]{1,30}(-[a-z0-9]{1,30})?(\.[a-z]{1,60})?"
)


@given(st.from_regex(_PLAIN, fullmatch=True))
def test_the_fast_path_gives_the_same_key_as_the_grammar(text):
    entry = parse_line(text, "t", 1)
    assert entry is not None
    assert entry.key == Address.parse(text).key
