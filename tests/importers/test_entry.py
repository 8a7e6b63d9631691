"""Lines with a time, in each form that is read."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.importers.read import LATEST

from gatepost.importers.entry import Entry, YearGuess, parse_line

AT = datetime(2020, 2, 22, 9, 0, 1, tzinfo=UTC).timestamp()
WRITTEN = Entry(AT, "connect from x", "mx", "postfix/smtpd", "812")
ALONE = Entry(AT, "812 dispatching QUIT")


def parse(line, latest=LATEST):
    return parse_line(line, YearGuess(latest))


@pytest.mark.parametrize(
    "line",
    [
        "Feb 22 09:00:01 mx postfix/smtpd[812]: connect from x",
        "<22>Feb 22 09:00:01 mx postfix/smtpd[812]: connect from x",
        "2020-02-22T09:00:01Z mx postfix/smtpd[812]: connect from x",
        "2020-02-22T10:00:01+01:00 mx postfix/smtpd[812]: connect from x",
        "2020-02-22T03:30:01-0530 mx postfix/smtpd[812]: connect from x",
        "<22>1 2020-02-22T09:00:01Z mx postfix/smtpd 812 - - connect from x",
        '<22>1 2020-02-22T09:00:01Z mx postfix/smtpd 812 ID1 [a@1 b="c"] connect from x',
    ],
)
def test_syslog_has_a_host_a_program_and_a_process(line):
    assert parse(line) == WRITTEN


@pytest.mark.parametrize(
    "line",
    [
        "2020-02-22 09:00:01 812 dispatching QUIT",
        "2020-02-22 10:00:01 +0100 812 dispatching QUIT",
        "@400000005e50ed9b00000000 812 dispatching QUIT",
        "1582362001.000000 812 dispatching QUIT",
        "Sat Feb 22 09:00:01 2020 812 dispatching QUIT",
    ],
)
def test_other_logs_have_only_a_text(line):
    assert parse(line) == ALONE


def test_fractions_of_a_second_are_kept():
    assert parse("2020-02-22T09:00:01.25Z mx x[1]: y").time == AT + 0.25
    assert parse("@400000005e50ed9b0ee6b280 y").time == AT + 0.25
    assert parse("1582362001.25 y").time == AT + 0.25


@pytest.mark.parametrize(
    "line",
    [
        *("", "x", "hello world", "Feb", "Feb 30 09:00:01 mx x: y", "Foo 22 09:00:01 mx x: y"),
        *("2020-13-01 09:00:01 x", "@40 x", "@ffffffffffffffffffffffff x", "<22>", "12 x", "1 2 3"),
    ],
)
def test_a_line_without_a_time_is_none(line):
    assert parse(line) is None


def test_a_line_without_a_program_keeps_its_text():
    assert parse("Feb 22 09:00:01 no program here") == Entry(AT, "no program here")


@pytest.mark.parametrize(
    ("latest", "year"),
    [("2020-02-22T12:00:00", 2020), ("2020-02-21T12:00:00", 2020), ("2020-02-20T00:00:00", 2019)],
)
def test_the_first_date_is_at_most_a_day_after_the_latest(latest, year):
    end = datetime.fromisoformat(latest).replace(tzinfo=UTC).timestamp()
    found = parse("Feb 22 09:00:01 mx x: y", end)
    assert datetime.fromtimestamp(found.time, UTC).year == year


def test_the_year_changes_within_a_log():
    years = YearGuess(datetime(2020, 2, 1, tzinfo=UTC).timestamp())
    first = parse_line("Dec 31 23:59:59 mx x: y", years)
    second = parse_line("Jan  1 00:00:01 mx x: y", years)
    assert second.time - first.time == 2


def test_a_line_that_is_a_little_late_does_not_change_the_year():
    years = YearGuess(LATEST)
    first = parse_line("Feb 22 09:00:01 mx x: y", years)
    second = parse_line("Feb 22 08:59:59 mx x: y", years)
    assert second.time - first.time == -2


def test_a_leap_day_is_in_a_leap_year():
    end = datetime(2022, 3, 5, tzinfo=UTC).timestamp()
    assert parse("Feb 29 00:00:00 mx x: y", end) is not None


@given(st.text(max_size=200))
def test_any_line_is_parsed_without_an_error(line):
    parse(line)


@given(
    st.sampled_from(["<22>", "", "@4", "2020-02-22", "Feb 22 09:00:01 ", "Sat Feb 22 ", "1582"]),
    st.text("0123456789:.-+TZ@[]<> abf", max_size=60),
)
def test_any_line_that_starts_like_a_time_is_parsed_without_an_error(start, rest):
    parse(start + rest)
