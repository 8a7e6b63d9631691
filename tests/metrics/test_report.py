"""The report of the ledger process: warnings, and the file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.metrics.samples import status

from gatepost.metrics.counting import Counting
from gatepost.metrics.report import (
    EXPIRES_SOON,
    Report,
    about,
    read_report,
    report_of,
    warnings_of,
    write_report,
)
from gatepost.metrics.status import (
    HOOK_BUCKETS,
    CertificateStatus,
    HookTimes,
    ListStatus,
    StatusError,
    TableStatus,
    decode,
    encode,
)
from gatepost.net.dns_status import DnsStatus

NOW = 1_000_000.0
WELL = status(
    lists=[ListStatus("traps", 5, NOW)],
    certificates=[CertificateStatus("cert.pem", ["*"], NOW + EXPIRES_SOON)],
)


def test_a_server_that_is_well_has_no_warning():
    assert list(warnings_of([WELL], NOW)) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"certificates": [CertificateStatus("c.pem", ["a", "b"], NOW + 86_400 * 3)]},
            "c.pem: the certificate for a, b expires in 3 days",
        ),
        (
            {"certificates": [CertificateStatus("c.pem", ["a"], NOW - 7200)]},
            "c.pem: the certificate for a expired 2 hours ago",
        ),
        (
            {"certificates": [CertificateStatus("c.pem", ["a"], 9 * NOW, "c.pem: unreadable")]},
            "c.pem: unreadable",
        ),
        (
            {"lists": [ListStatus("traps", 5, NOW - 300, "traps: unreadable")]},
            "traps: unreadable; the version of 5 minutes ago is in use",
        ),
        ({"store_degraded": True}, "the store of plugins is unavailable in 1 of 1 workers"),
        ({"dns": DnsStatus(unavailable=True)}, "no name server answers 1 of 1 workers"),
        (
            {"tables": [TableStatus("sql:users", unavailable=True)]},
            "the table sql:users is unavailable in 1 of 1 workers",
        ),
        ({"dropped": 3}, "3 records of the ledger were lost since the start of the workers"),
    ],
)
def test_a_problem_of_a_worker_is_a_warning(fields, expected):
    assert list(warnings_of([status(**fields)], NOW)) == [expected]


def test_the_report_is_read_as_it_was_written(tmp_path):
    counting = Counting()
    counting.status(status(sessions=3, dropped=1))
    report = report_of(counting, NOW)
    assert (report.workers[0].sessions, report.dropped, len(report.warnings)) == (3, 1, 1)
    path = tmp_path / "status.json"
    for _ in range(2):
        write_report(path, report)
        assert read_report(path) == report
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@given(st.binary(max_size=60))
def test_a_damaged_report_is_none(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("report") / "status.json"
    path.write_bytes(content)
    assert read_report(path) is None


def test_a_missing_report_is_none(tmp_path):
    assert read_report(tmp_path / "status.json") is None


def test_fields_of_a_later_version_are_ignored(tmp_path):
    path = tmp_path / "status.json"
    path.write_text('{"time": 5.0, "new": [1]}')
    assert read_report(path) == Report(5.0)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 seconds"),
        (-5, "0 seconds"),
        (1.5, "1 second"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (7200, "2 hours"),
        (86_400 * 13.9, "13 days"),
    ],
)
def test_a_duration_is_shown_in_the_largest_unit_that_fits(seconds, expected):
    assert about(seconds) == expected


def test_a_status_is_decoded_as_it_was_encoded():
    assert decode(encode(WELL)) == WELL


@given(st.binary(max_size=100))
def test_octets_that_are_no_status_are_an_error(data):
    with pytest.raises(StatusError):
        decode(data)


def test_the_report_has_lists_certificates_and_the_time_of_plugins():
    counting = Counting()
    hooks = [
        HookTimes("slow", "on_rcpt", [0] * len(HOOK_BUCKETS) + [1], 40.0, 3, 2),
        HookTimes("quick", "on_rcpt", [98, 0, 1, 1, *[0] * (len(HOOK_BUCKETS) - 3)], 0.1),
    ]
    for worker in (0, 1):
        counting.status(
            status(
                worker=worker,
                lists=WELL.lists,
                certificates=WELL.certificates,
                hooks=hooks,
                dns=DnsStatus(unavailable=True),
            )
        )
    found = report_of(counting, NOW)
    assert found.lists == WELL.lists
    assert found.certificates == WELL.certificates
    assert [tuple(getattr(one, name) for name in one.__struct_fields__) for one in found.hooks] == [
        ("slow", "on_rcpt", 2, 0.0, 0.0, 6, 4),
        ("quick", "on_rcpt", 200, HOOK_BUCKETS[0], HOOK_BUCKETS[2], 0, 0),
    ]
    assert (found.silent, found.degraded) == (2, 0)
