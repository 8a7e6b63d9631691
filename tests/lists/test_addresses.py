"""Address lists in memory: the order of a look-up, and the limits."""

import pytest

from gatepost.lists.addresses import MAX_ERRORS, AddressList
from gatepost.lists.patterns import MAX_PATTERNS

LINES = [
    "# traps",
    "/^any-/",
    "trap@example.com first",
    "trap@example.com again",
    "bob+shop@example.com",
    "@example.net",
    "/@example\\.net$/",
    "oops",
]


@pytest.fixture
def traps():
    return AddressList.from_lines(LINES, "traps")


@pytest.mark.parametrize(
    ("key", "user_key", "line"),
    [
        ("trap@example.com", "trap@example.com", 4),
        ("trap+x@example.com", "trap@example.com", 4),
        ("bob+shop@example.com", "bob@example.com", 5),
        ("bob+other@example.com", "bob@example.com", None),
        ("bob@example.com", "bob@example.com", None),
        ("any-x@example.net", "any-x@example.net", 6),
        ("any-x@example.org", "any-x@example.org", 2),
        ("x@sub.example.net", "x@sub.example.net", None),
        ("postmaster@", "postmaster@", None),
    ],
)
def test_look_ups_follow_the_documented_order(traps, key, user_key, line):
    entry = traps.find(key, user_key)
    assert (entry and entry.line) == line


def test_a_pattern_is_also_searched_without_the_subaddress():
    traps = AddressList.from_lines(["/^trap-[0-9]+@/"], "t")
    assert traps.find("trap-1+x@example.com", "trap-1@example.com").line == 1
    assert traps.find("trap-1+x@example.com", "trap-1+x@example.com") is None


def test_contents(traps):
    assert [entry.line for entry in traps] == [2, 3, 4, 5, 6, 7]
    assert len(traps) == 6
    assert traps.current is traps
    assert traps.bad_lines == 1
    assert [str(error) for error in traps.errors] == [
        "traps:8: expected local-part@domain, @domain or /pattern/, found 'oops'"
    ]


def test_exact_finds_only_the_entry_with_this_key(traps):
    assert traps.exact("trap@example.com").note == "again"
    assert traps.exact("@example.net").line == 6
    assert traps.exact("x@example.net") is None


def test_entries_are_found_by_local_part(traps):
    found = traps.with_local_part(frozenset({"trap", "any-"}))
    assert [entry.line for entry in found] == [3, 4]


def test_too_many_patterns_are_refused():
    traps = AddressList.from_lines([f"/^{n}@/" for n in range(MAX_PATTERNS + 2)], "t")
    assert len(traps) == MAX_PATTERNS
    assert str(traps.errors[0]) == (
        "t:1001: expected at most 1000 regular expressions in a list, found '/^1000@/'"
    )
    assert traps.bad_lines == 2


def test_errors_beyond_the_limit_are_only_counted():
    traps = AddressList.from_lines(["x"] * (MAX_ERRORS + 5), "t")
    assert len(traps.errors) == MAX_ERRORS
    assert traps.bad_lines == MAX_ERRORS + 5


def test_an_empty_list_contains_no_address():
    assert AddressList().find("a@b", "a@b") is None
    assert len(AddressList()) == 0
