"""Periods: rows that are equal are counted together, and their number is limited."""

import pytest
from tests.checks.dmarc.samples import transaction

from gatepost.checks.dmarc.collect import DAY, Period, periods
from gatepost.checks.dmarc.evaluated import evaluated


def add(period, *records, **options):
    for one in records:
        period.add(evaluated(one), **options)


def test_equal_rows_are_counted_together():
    period = Period(0, DAY)
    add(period, transaction(), transaction(), transaction(address="192.0.2.2"))
    (domain,) = period.domains.values()
    assert [(row.source_ip, row.count) for row in domain.rows()] == [
        ("192.0.2.1", 2),
        ("192.0.2.2", 1),
    ]


def test_the_newest_record_of_a_domain_counts():
    period = Period(0, DAY)
    add(period, transaction(published="v=DMARC1; p=none"), transaction())
    assert period.domains["example.org"].published.p == "none"


def test_the_rows_are_limited_and_the_others_counted():
    period = Period(0, DAY)
    some = [transaction(address=f"192.0.2.{number}") for number in range(4)]
    other = transaction(record="example.net")
    add(period, *some, other, some[0], most=3)
    assert (period.rows, period.omitted) == (3, 2)
    assert list(period.domains) == ["example.org"]


@pytest.mark.parametrize(
    ("until", "lengths"),
    [
        (DAY, [DAY]),
        (DAY + 3600, [DAY + 3600]),
        (2.5 * DAY, [DAY, DAY, DAY // 2]),
        (0.2, [1]),
        (0, []),
    ],
)
def test_a_period_is_a_day_and_the_last_can_differ(until, lengths):
    assert [end - start for start, end in periods(0, until)] == lengths
