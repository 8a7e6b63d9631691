"""docs/shipped.md: the tables of what plugins do without an answer are what the tests find."""

import re

import pytest
from tests.docs.pages import rows, section
from tests.faults.test_dns import FOUND, GOOD, LYING_LIST
from tests.faults.test_store import NOTHING, READ

TABLES = section("shipped", "When something does not answer")
DNS = {
    "No answer": ["silent"],
    "An error, such as SERVFAIL or REFUSED": ["servfail", "refused"],
    "A malformed answer": ["malformed", "noise"],
    "Records of another name or type only": ["other name", "other type"],
    "A loop of aliases": ["alias loop"],
    "Truncated, and no answer over TCP": ["truncated"],
    "A record of 60 KB next to the right one": ["huge text"],
}
OTHERS = {"A list answers everything, or with other addresses", "Slow answers"}
STORE = {"No answer, a late one, or no connection": NOTHING, "Read-only, or a full disk": READ}


def cells(first):
    (found,) = [row for row in rows(TABLES) if row[0] == first]
    return found[1:]


def columns(name):
    (line,) = [line for line in TABLES.splitlines() if line.startswith(f"| {name} |")]
    return [re.findall(r"`(\w+)`", cell) for cell in line.split(" | ")[1:]]


def test_every_fault_of_the_tests_is_in_the_table():
    assert sorted(one for faults in DNS.values() for one in faults) == sorted(FOUND)
    named = {row[0] for row in rows(TABLES)}
    assert set(DNS) | OTHERS | set(STORE) < named


@pytest.mark.parametrize(("row", "fault"), [(row, one) for row in DNS for one in DNS[row]])
def test_a_row_has_what_plugins_find_and_the_log(row, fault):
    found, lines = FOUND[fault]
    *stated, log = cells(row)
    for names, cell in zip(columns("DNS"), stated, strict=False):
        usual = all(found[name] == GOOD[name] for name in names)
        assert cell == ("as usual" if usual else "`temperror`")
        assert usual or all(found[name] == "temperror" for name in names)
    assert ("name servers unavailable" in log) == ("name servers unavailable" in lines)


def test_lists_that_lie_are_stated():
    assert cells("A list answers everything, or with other addresses")[2].strip("`") == LYING_LIST


@pytest.mark.parametrize(("row", "found"), STORE.items())
def test_a_row_has_what_plugins_find_without_the_store(row, found):
    greylist, reputation, *_, log = cells(row)
    assert greylist.startswith(f"`{found['greylist']}`")
    assert ("`temperror`" in reputation) == (found["reputation"] == "temperror")
    assert log == "`store unavailable`"
