import pytest

from gatepost.mailauth.zone import Zone, ask_zone
from gatepost.net.questions import ABSENT, EMPTY, Answer, Question, ask_one, found

ZONE = Zone(
    {
        "Example.COM.": [
            {"TXT": ["v=spf1 ", "-all"]},
            {"TXT": "other"},
            {"MX": [10, "MX.example.com."]},
            {"MX": [0, ""]},
            {"A": "192.0.2.1"},
            {"AAAA": "CAFE:BABE::1"},
        ],
        "192.0.2.1": [{"PTR": "Example.com."}],
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.E.B.A.B.E.F.A.C.ip6.arpa": [
            {"PTR": "six."}
        ],
        "alias.example": [{"CNAME": "EXAMPLE.com."}],
        "dangling.example": [{"CNAME": "absent.example"}],
        "loop.example": [{"CNAME": "pool.example"}],
        "pool.example": [{"CNAME": "loop.example"}],
        "spf.example": [{"SPF": "v=spf1 -all"}],
        "both.example": [{"SPF": "v=spf1 +all"}, {"TXT": "v=spf1 -all"}],
        "none.example": [{"SPF": "v=spf1 -all"}, {"TXT": "NONE"}],
        "slow.example": ["TIMEOUT"],
        "half.example": [{"TXT": "x"}, "TIMEOUT"],
        "null.example": [{"SPF": "v=spf1 -all"}, {"TXT": "NONE"}, "TIMEOUT"],
        "type.example": [{"TXT": "TIMEOUT"}, {"A": "192.0.2.2"}],
        "ns.example": [{"NS": "ns1.example"}],
        "a.b.c.example": [{"A": "192.0.2.3"}],
        "empty-text.example": [{"SPF": []}],
        "bücher.example": [{"A": "192.0.2.4"}],
    }
)
TIMED_OUT = Answer("failed", (), "no answer in time")


@pytest.mark.parametrize(
    ("kind", "name", "answer"),
    [
        ("TXT", "example.com", found(["v=spf1 -all", "other"])),
        ("MX", "EXAMPLE.com.", found([(10, "mx.example.com"), (0, "")])),
        ("A", "example.com", found(["192.0.2.1"])),
        ("AAAA", "example.com", found(["cafe:babe::1"])),
        ("PTR", "192.0.2.1", found(["example.com"])),
        ("PTR", "cafe:babe::1", found(["six"])),
        ("PTR", "192.0.2.9", ABSENT),
        ("A", "192.0.2.1", ABSENT),
        ("A", "alias.example", found(["192.0.2.1"])),
        ("TXT", "dangling.example", ABSENT),
        ("TXT", "spf.example", found(["v=spf1 -all"])),
        ("TXT", "both.example", found(["v=spf1 -all"])),
        ("TXT", "none.example", EMPTY),
        ("A", "slow.example", TIMED_OUT),
        ("TXT", "half.example", found(["x"])),
        ("A", "half.example", TIMED_OUT),
        ("TXT", "null.example", TIMED_OUT),
        ("TXT", "type.example", TIMED_OUT),
        ("A", "type.example", found(["192.0.2.2"])),
        ("A", "ns.example", EMPTY),
        ("A", "b.c.example", EMPTY),
        ("A", "x.b.c.example", ABSENT),
        ("TXT", "empty-text.example", found([""])),
        ("A", "xn--bcher-kva.example", found(["192.0.2.4"])),
        ("A", "", ABSENT),
    ],
)
def test_a_question_has_the_answer_of_the_records(kind, name, answer):
    assert ZONE.answer(Question(kind, name)) == answer


def test_a_ring_of_aliases_fails():
    answer = ZONE.answer(Question("A", "loop.example"))
    assert (answer.status, answer.problem) == ("failed", "more than 16 aliases (CNAME) in a row")


def test_a_chain_of_aliases_is_followed_up_to_the_limit():
    chain = {f"{number}.example": [{"CNAME": f"{number + 1}.example"}] for number in range(17)}
    zone = Zone({**chain, "17.example": [{"A": "192.0.2.1"}]})
    assert zone.answer(Question("A", "1.example")) == found(["192.0.2.1"])
    assert zone.answer(Question("A", "0.example")).status == "failed"


def check():
    first = yield from ask_one("A", "example.com")
    second, third = yield (Question("TXT", "half.example"), Question("A", "absent.example"))
    return first.records, second.records, third.status


def test_a_check_gets_its_answers_in_order():
    assert ask_zone(check(), ZONE) == (["192.0.2.1"], ["x"], "absent")


def test_the_trace_has_each_question_with_its_answer():
    seen = []
    ask_zone(check(), ZONE, trace=lambda question, answer: seen.append(f"{question} {answer[0]}"))
    assert seen == ["A example.com found", "TXT half.example found", "A absent.example absent"]


def test_a_check_without_questions_has_its_result():
    def finished():
        return 7
        yield

    assert ask_zone(finished(), ZONE) == 7


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "expected names with lists of records, found []"),
        ({1: []}, "expected a name as text, found 1"),
        ({"a": {"A": "x"}}, "expected a list of records for 'a', found {'A': 'x'}"),
        ({"a": ["x"]}, "'a', record 1: expected {TYPE: value} or \"TIMEOUT\", found 'x'"),
        ({"a": [{}]}, "'a', record 1: expected {TYPE: value} or \"TIMEOUT\", found {}"),
        ({"a": [{"a b": 1}]}, "'a', record 1: expected a type of record such as TXT, found 'a b'"),
        ({"a": [{2: 1}]}, "'a', record 1: expected a type of record such as TXT, found 2"),
        (
            {"a": [{"A": "192.0.2.1"}, {"A": "::1"}]},
            "'a', record 2: expected an IPv4 address, found '::1'",
        ),
        ({"a": [{"A": 1}]}, "'a', record 1: expected an IPv4 address, found 1"),
        ({"a": [{"AAAA": "1.2.3.4"}]}, "'a', record 1: expected an IPv6 address, found '1.2.3.4'"),
        ({"a": [{"MX": "b"}]}, "'a', record 1: expected [preference, host], found 'b'"),
        ({"a": [{"MX": [-1, "b"]}]}, "'a', record 1: expected [preference, host], found [-1, 'b']"),
        ({"a": [{"TXT": [1]}]}, "'a', record 1: expected text or a list of strings, found [1]"),
        ({"a": [{"PTR": None}]}, "'a', record 1: expected a name, found None"),
        (
            {"a." * 150: []},
            f"expected a name of at most 253 octets, found {repr('a.' * 150)[:80]}",
        ),
    ],
)
def test_a_malformed_zone_is_refused_with_its_place(records, message):
    with pytest.raises(ValueError) as caught:
        Zone(records)
    assert str(caught.value) == message


def test_half_of_a_surrogate_pair_is_replaced():
    zone = Zone({"a": [{"TXT": "x\ud800"}]})
    assert zone.answer(Question("TXT", "a")) == found(["x?"])
