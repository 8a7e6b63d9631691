"""Totals: each dimension, hours, and the keys that are pruned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.made import START, cells, connection, delivery, refusal, transaction

from gatepost.ledger import totals
from gatepost.ledger.records import (
    Answer,
    Client,
    Gap,
    Notice,
    PluginResult,
    RecipientRecord,
    Trap,
)
from gatepost.ledger.selection import Selection
from gatepost.ledger.store import LedgerReader, QueryTimeoutError, segment
from gatepost.ledger.store import cells as cells_module
from gatepost.ledger.store import reader as reader_module
from gatepost.ledger.store.cells import CellCache
from gatepost.ledger.store.chunk import split
from gatepost.ledger.totals import HOUR, Sum, hour_of, prune

FIRST_HOUR = hour_of(START)


def counted(*records):
    total = Sum(0, 0)
    for (hour, dimension), counts in cells(*records):
        total.add(hour, dimension, counts, 0)
    return total.totals().counts


def test_a_transaction_counts_in_each_dimension():
    record = transaction(
        1,
        sender="Bob@X.example",
        result="refused",
        client=Client("2001:db8::1"),
        recipients=[RecipientRecord("A@example.com"), RecipientRecord("b@example.com", "refused")],
        answers=[
            refusal("trap"),
            refusal("listed", by="dnsbl", seconds=0.25),
            refusal("quiet", by="dnsbl", seconds=0.5, shadow=True),
            Answer("mail", "spf", "accept", "pass"),
        ],
        traps=[Trap("a@example.com", "@example.com", "traps", 7)],
        results=[
            PluginResult("spf", "pass", facts={"domain": "x.example"}),
            PluginResult("dmarc", "fail", facts={"domain": "y.example"}),
            PluginResult("dmarc", "permerror"),
        ],
        shadowed=True,
    )
    assert counted(record) == {
        "result": {"refused": 1, "shadowed": 1},
        "hour": {f"{FIRST_HOUR} refused": 1},
        "sender": {"bob@x.example": 1},
        "sender_domain": {"x.example": 1},
        "refused_sender_domain": {"x.example": 1},
        "network": {"2001:db8::/48": 1},
        "refused_network": {"2001:db8::/48": 1},
        "recipient_result": {"accepted": 1, "refused": 1},
        "recipient": {"a@example.com": 1, "b@example.com": 1},
        "recipient_domain": {"example.com": 2},
        "reason": {"gatepost trap": 1, "dnsbl listed": 1},
        "shadow_reason": {"dnsbl quiet": 1},
        "plugin": {"dnsbl": 2, "spf": 1},
        "plugin_ms": {"dnsbl": 750, "spf": 0},
        "trap": {"traps:7 @example.com": 1},
        "trap_network": {"2001:db8::/48": 1},
        "dmarc": {"fail y.example": 1},
    }


def test_other_records_count_too():
    assert counted(
        connection(1, end="early-talker", answers=[refusal("busy")]),
        delivery(1, result="deferred"),
        Gap(START, START, 12, "the disk was full"),
        Notice(START, "started"),
        transaction(1, sender="", client=Client("/run/x"), recipients=[], size=5),
    ) == {
        "end": {"early-talker": 1},
        "octets": {"received": 10, "sent": 20, "accepted": 5},
        "reason": {"gatepost busy": 1},
        "delivery": {"deferred": 1},
        "destination": {"deferred mx.example.net": 1},
        "lost": {"the disk was full": 12},
        "result": {"accepted": 1},
        "hour": {f"{FIRST_HOUR} accepted": 1},
        "sender": {"<>": 1},
    }


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0, 1e300])
def test_numbers_that_cannot_be_are_zero(number):
    found = counted(transaction(1, answers=[refusal("x", by="p", seconds=number)]))
    assert found["plugin_ms"] == {"p": 0}
    assert hour_of(number) == 0


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [
        (START, START, (0, HOUR)),
        (FIRST_HOUR, FIRST_HOUR + HOUR, (0, HOUR)),
        (FIRST_HOUR - 1, FIRST_HOUR + HOUR + 1, (-HOUR, 2 * HOUR)),
    ],
)
def test_a_period_is_rounded_to_the_hours_that_contain_it(since, until, hours):
    found = Sum(since, until).totals()
    assert (found.since - FIRST_HOUR, found.until - FIRST_HOUR) == hours


@given(st.dictionaries(st.text(), st.integers(1, 9), max_size=30), st.integers(1, 10))
def test_pruning_keeps_the_largest_and_their_sum(counts, kept):
    pruned = prune(counts, kept)
    assert sorted(pruned.counts.values()) == sorted(counts.values())[-kept:]
    assert sum(pruned.counts.values()) + pruned.rest == sum(counts.values())


def test_an_hour_that_is_over_keeps_its_largest_keys(make, write, folder, clock, monkeypatch):
    monkeypatch.setattr(totals, "KEPT", 3)
    monkeypatch.setattr(segment, "KEPT", 3)
    monkeypatch.setattr(segment, "KEPT_NOW", 20)
    writer = make(segment=1000, tail=1)
    many = [transaction(number) for number in range(10)] + [
        transaction(5, sender="top@x.example")
    ] * 4
    write(writer, *many)
    reader = LedgerReader(folder)
    assert len(reader.totals(START, START).counts["sender"]) == 11
    clock.now += HOUR
    write(writer, transaction(1, time=clock.now))
    found = reader.totals(START, START)
    assert found.counts["sender"]["top@x.example"] == 4
    assert (len(found.counts["sender"]), found.rest["sender"]) == (3, 8)
    assert found.counts["result"] == {"accepted": 14}
    assert reader.totals(clock.now, clock.now).counts["result"] == {"accepted": 1}


def test_totals_of_records_that_are_not_counted_yet_are_included(make, write, folder):
    write(make(segment=40, tail=30), *(transaction(number) for number in range(75)))
    reader = LedgerReader(folder)
    assert reader.totals(START, START).counts["result"] == {"accepted": 75}
    assert len(list(reader.select(Selection()))) == 75


def test_the_cells_of_some_dimensions_are_those_of_the_totals(make, write, folder):
    write(make(segment=40, tail=30), *(transaction(number) for number in range(75)))
    reader = LedgerReader(folder)
    found = list(reader.cells(hour_of(START), hour_of(START) + HOUR, ["result", "octets"]))
    assert {dimension for _, dimension, _, _ in found} == {"result", "octets"}
    assert sum(counts.get("accepted", 0) for _, name, counts, _ in found if name == "result") == 75
    assert list(reader.cells(hour_of(START) + HOUR, hour_of(START) + 2 * HOUR)) == []


@pytest.mark.parametrize(
    "query",
    [
        lambda reader: list(reader.select(Selection())),
        lambda reader: list(reader.select(Selection(reason="none"))),
        lambda reader: list(reader.select(Selection(kinds=["gap"]))),
        lambda reader: reader.totals(START, START),
    ],
)
def test_a_query_whose_time_is_over_ends_also_without_a_result(
    make, write, folder, query, monkeypatch
):
    monkeypatch.setattr(reader_module, "STEPS", 1)
    write(make(segment=40, tail=30), *(transaction(number) for number in range(75)))
    calls = iter([False] * 3)
    reader = LedgerReader(folder, lambda: next(calls, True))
    with pytest.raises(QueryTimeoutError):
        query(reader)
    assert reader.problems == []


def test_records_that_are_not_counted_yet_are_read_once(make, write, folder, monkeypatch):
    read = []
    monkeypatch.setattr(cells_module, "split", lambda octets: read.append(octets) or split(octets))
    writer = make(segment=40, tail=30)
    write(writer, *(transaction(number) for number in range(50)))
    cache = CellCache()

    def accepted():
        found = LedgerReader(folder, cache=cache).cells(0, 4e9, ["result"])
        return sum(counts["accepted"] for _, _, counts, _ in found)

    assert (accepted(), len(read)) == (50, 10)
    assert (accepted(), len(read)) == (50, 10)
    write(writer, *(transaction(number) for number in range(5)))
    assert (accepted(), len(read)) == (55, 15)
    write(writer, *(transaction(number) for number in range(30)))
    assert accepted() == 85


def test_sums_are_those_of_the_cells(make, write, folder, clock):
    writer = make(segment=40, tail=30)
    for number in range(100):
        clock.now = START + number * 300
        write(
            writer, transaction(number, time=clock.now, traps=[Trap("a@x.example", "@x", "t", 1)])
        )
    reader = LedgerReader(folder)
    start = hour_of(START)
    for since, until in ((0, 4e9), (start + HOUR, start + 7 * HOUR), (start + 5 * HOUR, 4e9)):
        for _ in range(2):
            counts, hours, last = reader.sums(since, until, "trap")
            found = list(reader.cells(since, until, ["trap"]))
            assert counts == {"t:1 @x": sum(cell[2]["t:1 @x"] for cell in found)}
            assert sum(hours.values()) == counts["t:1 @x"]
            assert last == {"t:1 @x": max(cell[0] for cell in found)}


def test_what_is_kept_of_a_removed_ledger_is_not_that_of_another(make, write, folder):
    cache = CellCache()
    for count in (50, 70):
        writer = make(segment=20, tail=10)
        write(writer, *(transaction(number) for number in range(count)))
        for _ in range(2):
            found = LedgerReader(folder, cache=cache).cells(0, 4e9, ["result"])
            assert sum(counts["accepted"] for _, _, counts, _ in found) == count
        writer.close()
        for path in folder.iterdir():
            path.unlink()


def test_the_cache_drops_what_was_not_used_for_longest():
    cache = CellCache(most=10)
    for number in range(4):
        cache.put((number,), 4, number)
        cache.get((0,))
    assert [cache.get((number,)) for number in range(4)] == [0, None, None, 3]
    cache.put((3,), 2, "again")
    assert (cache.get((3,)), cache.get((0,))) == ("again", 0)
