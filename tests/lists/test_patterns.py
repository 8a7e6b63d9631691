"""Regular expressions of lists: linear time, limits, and the order of entries."""

import pytest

from gatepost.lists.addresses import AddressList
from gatepost.lists.patterns import MAX_PROGRAMS, PatternSet, compile_pattern

# With a library that backtracks, each of these takes years.
HOSTILE = ("(a+)+$", "^([a-z]+)*@spam", "(a|aa)+$", "(.*a){30}$", "(x+x+)+y", "(a?){400}a{400}")


def prepared(*patterns):
    found = PatternSet()
    for number, pattern in enumerate(patterns):
        found.add(pattern, number)
    found.prepare()
    return found


@pytest.mark.parametrize("pattern", HOSTILE)
@pytest.mark.parametrize("letter", ["a", "x"])
def test_no_pattern_blocks_the_search(pattern, letter):
    key = f"{letter * 256}_@example.com"
    assert prepared(pattern).find(key) is None
    assert AddressList.from_lines([f"/{pattern}/"], "traps").find(key, key) is None


def test_the_first_pattern_of_the_list_is_found():
    patterns = prepared(*(f"^a{number}b" for number in range(100)), "^a7", "^a")
    assert patterns.find("a7b") == 7
    assert patterns.find("a7c") == 100
    assert patterns.find("a99b") == 99
    assert patterns.find("ab") == 101
    assert patterns.find("b") is None


def test_every_key_is_searched():
    patterns = prepared("^user@", "^user[+]tag@")
    assert patterns.find("user+tag@x", "user@x") == 0
    assert patterns.find("user+tag@x") == 1


def test_case_is_ignored():
    assert prepared("^TRAPÜ@").find("trapü@x") == 0
    assert prepared("(?-i)^TRAP@").find("trap@x") is None


def test_patterns_that_cannot_be_combined_are_searched_one_by_one():
    patterns = prepared("(?P<name>a)b", "(?P<name>c)d", "e|f", "(?i)g")
    assert [patterns.find(key) for key in ("ab", "cd", "f", "G", "b")] == [0, 1, 2, 3, None]


def test_an_alternative_does_not_reach_into_the_next_pattern():
    patterns = prepared("a|b$", "^c")
    assert [patterns.find(key) for key in ("xa", "xc", "xb", "cx")] == [0, None, 0, 1]


def test_classes_are_those_of_re2():
    assert prepared(r"^\d").find("٣@x") is None
    assert prepared(r"^\pN").find("٣@x") == 0


def test_a_set_has_a_limit_for_all_patterns_together():
    large = "a" * 900 + "b?"
    items = AddressList.from_lines([f"/{number}{large}/" for number in range(100)], "traps")
    assert (len(items), items.bad_lines) == (MAX_PROGRAMS // 907, 100 - MAX_PROGRAMS // 907)
    assert items.errors[0].expected == "simpler regular expressions in a list with so many"


def test_a_key_that_is_not_utf_8_is_searched():
    assert prepared("^a").find("a\udc80") == 0


def test_a_pattern_of_a_list_beyond_the_limits_names_its_line():
    found = AddressList.from_lines([r"/\pL{200}/", "/a/"], "traps")
    assert [str(error) for error in found.errors] == [
        r"traps:1: expected a simpler regular expression, found '/\pL{200}/'"
    ]
    assert [entry.text for entry in found] == ["/a/"]


def test_an_empty_pattern_is_compiled():
    assert compile_pattern("").search(b"a")
