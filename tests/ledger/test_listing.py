"""Lines of `gatepost log`: aligned, and never wider than the terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from tests.ledger.mail_records import (
    ACCEPTED,
    ANY_RECORD,
    CROWDED,
    DELIVERED,
    GOOD,
    MORNING,
    RECORDS,
    SPOILED,
    SPOILED_CONNECTION,
    ZONE,
)

from gatepost.ledger.records import Answer, Connection, Transaction
from gatepost.ledger.words.fitting import plain
from gatepost.ledger.words.listing import DAY, Listing, entry_of, is_notable, result_of

TERMINALS = [80, 100, 120, 200]


def lines(records, width, now=MORNING + 300):
    listing = Listing(records, width, now, ZONE)
    return [plain(listing.line(record)) for record in records]


def test_lines_are_aligned():
    found = lines(RECORDS, 80)
    starts = {line.index("ebebdad2") for line in found if "ebebdad2" in line}
    assert len(starts) == 1
    assert found[0].startswith("09:00:00 refused   203.0.113.9")
    assert found[0].endswith("ebebdad2-1.1")


def test_a_line_has_the_number_of_other_recipients():
    assert " +1 " in lines([SPOILED], 80)[0]


def test_records_of_an_earlier_day_have_the_day():
    assert lines([SPOILED], 80, MORNING + DAY + 1)[0].startswith("29 09:00 refused")


def test_a_wide_terminal_has_more_columns():
    assert "3.0 KiB" not in lines([ACCEPTED], 80)[0]
    assert "3.0 KiB" in lines([ACCEPTED], 140)[0]


def test_without_a_terminal_nothing_is_cut():
    line = lines(RECORDS, None)[0]
    assert line.startswith("2026-11-29T09:00:00+0100 refused")
    assert line.endswith("554 5.7.1 Message refused by local policy [ebebdad2-1.1]")


def test_a_connection_without_a_session_has_its_limit_and_no_envelope():
    line = lines([CROWDED], 80)[0]
    assert line.split() == [
        "09:03:20",
        "deferred",
        "203.0.113.9",
        "connections_per_ip",
        CROWDED.ref,
    ]


def test_a_delivery_has_its_destination():
    assert "lmtp://127.0.0.1:24" in lines([DELIVERED], 120)[0]


def test_the_null_sender_is_visible():
    tx = Transaction(MORNING, "s-1.1", "s-1", GOOD, "", "accepted")
    assert " <> " in lines([tx], 80)[0]


def test_a_plugin_is_named_with_its_reason():
    tx = Transaction(MORNING, "s-1.1", "s-1", GOOD, "", "refused", "spf", "fail")
    assert "spf: fail" in lines([tx], 80)[0]


def test_a_later_record_is_cut_to_the_columns_of_the_first():
    listing = Listing([CROWDED], 80, MORNING + 300, ZONE)
    assert cell_len(plain(listing.line(SPOILED))) <= 80


@pytest.mark.parametrize(
    ("connection", "result"),
    [
        (SPOILED_CONNECTION, "connected"),
        (CROWDED, "deferred"),
        (Connection(0, "s-1", GOOD, end="tls-failed"), "refused"),
        (Connection(0, "s-1", GOOD, end="lost", reply="554 5.7.1 No"), "refused"),
        (Connection(0, "s-1", GOOD, answers=[Answer("auth", "gatepost", "deny")]), "refused"),
        (Connection(0, "s-1", GOOD, answers=[Answer("auth", "gatepost", "defer")]), "deferred"),
        (Connection(0, "s-1", GOOD, answers=[Answer("a", "x", "deny", shadow=True)]), "connected"),
    ],
)
def test_a_connection_is_notable_if_something_was_refused(connection, result):
    assert result_of(connection) == result
    assert is_notable(connection) == (result != "connected")


def test_an_empty_list_has_columns_too():
    assert lines([], 80) == []
    listing = Listing([], 80, MORNING, ZONE)
    assert listing.line(SPOILED)


@given(st.lists(ANY_RECORD, max_size=4), ANY_RECORD, st.sampled_from([*TERMINALS, None]))
def test_any_record_is_one_printable_line_that_fits(records, later, width):
    listing = Listing(records, width, MORNING, ZONE)
    for record in (*records, later):
        line = plain(listing.line(record))
        assert line.isprintable()
        assert width is None or cell_len(line) <= width
    assert all(entry_of(one).result in plain(listing.line(one)) for one in records)
