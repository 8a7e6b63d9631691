"""The records that answer a question, out of those that a name server sent."""

import pycares
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.net.dns_response import MAX_ALIASES, MAX_RECORDS, Response, failure, read_response
from gatepost.net.questions import EMPTY, Answer


def record(name, data, ttl=300):
    return pycares.DNSRecord(name, 0, 1, ttl, data)


def a(name, address="192.0.2.1", ttl=300):
    return record(name, pycares.ARecordData(address), ttl)


def cname(name, target, ttl=300):
    return record(name, pycares.CNAMERecordData(target), ttl)


def txt(name, text="x"):
    return record(name, pycares.TXTRecordData(text.encode()))


def found(*records, ttl=300.0):
    return Response(Answer("found", list(records)), ttl)


FOREIGN = failure("the records in the answer have another name or type")


@pytest.mark.parametrize(
    ("records", "response"),
    [
        ([], Response(EMPTY)),
        ([a("host")], found("192.0.2.1")),
        ([a("HOST.")], found("192.0.2.1")),
        ([a("host", ttl=5), a("host", "192.0.2.2", 9)], found("192.0.2.1", "192.0.2.2", ttl=5.0)),
        ([a("other")], FOREIGN),
        ([a("other", "192.0.2.66", 1), a("host")], found("192.0.2.1")),
        ([txt("host")], FOREIGN),
        ([txt("host"), a("host")], found("192.0.2.1")),
        ([a("host", ttl=1 << 31)], found("192.0.2.1", ttl=0.0)),
        ([a("host", ttl=(1 << 31) - 1)], found("192.0.2.1", ttl=float((1 << 31) - 1))),
        ([cname("host", "end", 20), a("end")], found("192.0.2.1", ttl=20.0)),
        ([a("end", ttl=10), cname("host", "End.", 20)], found("192.0.2.1", ttl=10.0)),
        ([cname("host", "b", 7), cname("b", "c"), a("c")], found("192.0.2.1", ttl=7.0)),
        ([cname("host", "end"), a("other")], Response(EMPTY)),
        ([cname("other", "end"), a("end")], FOREIGN),
        ([cname("host", "end")], Response(EMPTY)),
        ([cname("host", "end"), cname("host", "other"), a("other")], Response(EMPTY)),
    ],
)
def test_only_the_records_of_the_name_and_its_aliases_count(records, response):
    assert read_response(records, "A", "host") == response


def chain(length):
    names = ["host", *(f"n{number}" for number in range(1, length + 1))]
    return [*map(cname, names, names[1:]), a(names[-1])]


def test_a_long_chain_of_aliases_is_a_failure():
    assert read_response(chain(MAX_ALIASES), "A", "host") == found("192.0.2.1")
    answer = read_response(chain(MAX_ALIASES + 1), "A", "host").answer
    assert (answer.status, answer.problem) == ("failed", f"more than {MAX_ALIASES} aliases")


@pytest.mark.parametrize(
    "records", [[cname("host", "host")], [cname("host", "b"), cname("b", "host"), a("c")]]
)
def test_a_loop_of_aliases_is_a_failure(records):
    assert read_response(records, "A", "host").answer.status == "failed"


def test_too_many_records_are_a_failure():
    assert len(read_response([a("host")] * MAX_RECORDS, "A", "host").answer.records) == MAX_RECORDS
    response = read_response([a("host")] * (MAX_RECORDS + 1), "A", "host")
    assert (response.answer.status, response.reached) == ("failed", True)


NAMES = st.sampled_from(["host", "HOST.", "b", "c", "", "\udcff"])
RECORDS = st.one_of(
    st.builds(a, NAMES, st.just("192.0.2.1"), st.integers(0, (1 << 32) - 1)),
    st.builds(cname, NAMES, NAMES, st.integers(0, (1 << 32) - 1)),
    st.builds(txt, NAMES),
    st.builds(record, NAMES, st.builds(pycares.PTRRecordData, NAMES)),
)


@given(st.lists(RECORDS, max_size=30), st.sampled_from(["A", "TXT", "PTR", "MX"]))
def test_any_records_have_a_response(records, kind):
    answer, seconds, reached = read_response(records, kind, "host")
    assert reached
    assert answer.status in {"found", "empty", "failed"}
    assert (seconds is not None) == bool(answer.records) == (answer.status == "found")
