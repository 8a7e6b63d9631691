"""Pages of searches that take too long."""

from pathlib import Path

import pytest
from tests.web.made import accepted, refused
from tests.web.served import write_records

from gatepost.ledger.selection import Key, Selection
from gatepost.ledger.store import LedgerReader
from gatepost.web.counts.counted import ScopeCounts
from gatepost.web.counts.file import CountsFile
from gatepost.web.ledger import ScopedLedger
from gatepost.web.paging import page_of
from gatepost.web.scope import Scope

DOMAINS = ("one.example", "two.example", "three.example")


def scoped(reader, scope):
    return ScopedLedger(reader, scope, ScopeCounts(reader, CountsFile(Path("none")), scope))


def never(_record):
    return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("paging")
    mail = [accepted(number, f"a@{DOMAINS[number % 3]}") for number in range(1, 150)]
    write_records(folder, *mail, refused(200, "a@one.example"))
    return folder / "ledger"


def pages(folder, scope, selection, looks):
    """Return the pages of a search that looks at the time so many times for each."""
    before, found = None, []
    while len(found) < 1000:

        def search(at):
            left = iter(range(looks))
            reader = LedgerReader(folder, lambda: next(left, None) is None)
            return scoped(reader, scope).placed(selection, at)

        found.append(page_of(search, before, never))
        before = found[-1].next
        if before is None:
            return found
    raise AssertionError("the pages have no end")


@pytest.mark.parametrize("looks", [10, 50, 10_000])
@pytest.mark.parametrize("domains", [(), ("one.example",), ("one.example", "two.example")])
@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(keys=[Key("domain", "client.example")]),
        Selection(results=["refused"]),
        Selection(reason="none"),
    ],
)
def test_the_pages_of_a_search_that_stops_have_each_record_once(folder, domains, selection, looks):
    scope = Scope(frozenset(domains))
    found = pages(folder, scope, selection, looks)
    whole = list(scoped(LedgerReader(folder), scope).select(selection))
    assert [one for page in found for one in page.records] == whole
    assert [page.is_stopped for page in found] == [True] * (len(found) - 1) + [False]


def test_a_search_without_progress_has_no_next_page(folder):
    found = pages(folder, Scope(), Selection(), 0)
    assert [(page.records, page.next, page.is_stopped) for page in found] == [([], None, True)]
