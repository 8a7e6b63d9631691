import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mailauth.iprev import IprevResult, check_iprev
from gatepost.mailauth.zone import Zone, ask_zone
from gatepost.net.questions import EMPTY, Answer, found

FOUR = "192.0.2.1"


def check(zone, ip=FOUR):
    return ask_zone(check_iprev(ip), Zone(zone))


@pytest.mark.parametrize(
    ("zone", "result"),
    [
        (
            {FOUR: [{"PTR": "a.example"}, {"PTR": "b.example"}], "b.example": [{"A": FOUR}]},
            IprevResult("pass", "192.0.2.1 is b.example", "b.example"),
        ),
        ({}, IprevResult("permerror", "192.0.2.1 has no name")),
        ({FOUR: []}, IprevResult("permerror", "192.0.2.1 has no name")),
        (
            {FOUR: ["TIMEOUT"]},
            IprevResult("temperror", "no answer to PTR 192.0.2.1: no answer in time"),
        ),
        (
            {FOUR: [{"PTR": "a.example"}], "a.example": ["TIMEOUT"]},
            IprevResult("temperror", "no answer to A a.example: no answer in time"),
        ),
        (
            {
                FOUR: [{"PTR": "a.example"}, {"PTR": "b.example"}],
                "a.example": ["TIMEOUT"],
                "b.example": [{"A": FOUR}],
            },
            IprevResult("pass", "192.0.2.1 is b.example", "b.example"),
        ),
        (
            {
                FOUR: [{"PTR": "a.example"}, {"PTR": "b.example"}],
                "a.example": [{"A": "192.0.2.2"}, {"AAAA": "::ffff:192.0.2.1"}],
            },
            IprevResult(
                "fail", "192.0.2.1 has the names a.example, b.example, none has this address"
            ),
        ),
        (
            {FOUR: [{"PTR": ""}, {"PTR": "a..example"}]},
            IprevResult("fail", "192.0.2.1 has no name that can have an address"),
        ),
    ],
)
def test_only_a_name_with_the_address_is_confirmed(zone, result):
    assert check(zone) == result


def test_an_ipv6_address_is_looked_up_in_aaaa_records():
    zone = {"2001:db8::1": [{"PTR": "six.example"}], "six.example": [{"AAAA": "2001:DB8:0::1"}]}
    assert check(zone, "2001:db8::1").name == "six.example"


def test_an_ipv4_address_within_ipv6_is_an_ipv4_address():
    zone = {FOUR: [{"PTR": "a.example"}], "a.example": [{"A": FOUR}]}
    assert check(zone, f"::ffff:{FOUR}").result == "pass"


def test_ten_names_are_asked_together_and_no_more():
    groups = []
    steps = check_iprev(FOUR)
    groups.append(next(steps))
    groups.append(steps.send([found([f"h{number}.example" for number in range(11)])]))
    assert [len(one) for one in groups] == [1, 10]
    assert [str(one) for one in groups[1]][-1] == "A h9.example"


def test_text_that_is_no_ip_address_is_an_error():
    with pytest.raises(ValueError, match="does not appear to be"):
        check({}, "unix")


ANSWERS = st.one_of(
    st.just(Answer("failed")), st.just(EMPTY), st.lists(st.text(max_size=9), max_size=12).map(found)
)


@given(st.lists(ANSWERS, min_size=11, max_size=11))
def test_any_answers_give_a_result(answers):
    steps = check_iprev("2001:db8::1")
    next(steps)
    group = answers[:1]
    try:
        while True:
            group = answers[1 : 1 + len(steps.send(group))]
    except StopIteration as done:
        result = done.value
    assert result.result in {"fail", "temperror", "permerror"}
    assert result.reason.isascii()
