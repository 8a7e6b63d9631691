"""The harness detects lost, duplicated and refused messages."""

from collections import Counter

import pytest
from endurance.outcome import (
    MARK,
    SIZE,
    Outcome,
    answer_of,
    arrived_in,
    judge,
    percentile,
    token_of,
)

OUTCOMES = [
    Outcome("a", "accepted", 250, 0.1),
    Outcome("b", "accepted", 250, 0.3),
    Outcome("r", "refused", 451, 0.2),
    Outcome("u", "unanswered", 0, 9.0),
]


@pytest.mark.parametrize("there", [["a", "b"], ["a", "b", "u"]])
def test_messages_that_agree_with_the_replies_are_no_error(there):
    assert judge(OUTCOMES, Counter(there)).problems == []


@pytest.mark.parametrize(
    ("there", "problem"),
    [
        (["a"], "1 accepted with 250 and lost: b"),
        (["a", "b", "b"], "1 present more than once: b"),
        (["a", "b", "u", "u"], "1 present more than once: u"),
        (["a", "b", "r"], "1 refused but present: r"),
        (["a", "b", "x"], "1 present but never sent: x"),
    ],
)
def test_errors_are_described(there, problem):
    assert judge(OUTCOMES, Counter(there)).problems == [problem]


def test_tokens_are_counted_in_maildirs(tmp_path):
    for part, name in (("new", "1"), ("cur", "2"), ("tmp", "3")):
        (tmp_path / "box" / part).mkdir(parents=True)
        (tmp_path / "box" / part / name).write_text(f"Subject: x\r\n{MARK}: t\r\n\r\n")
    (tmp_path / "box/new/4").write_text("Smuggled: yes\r\n\r\n")
    arrived = arrived_in([tmp_path / "box"])
    assert arrived["t"] == 2
    assert [one for one in arrived if one.startswith("no token: 'Smuggled")]


@pytest.mark.parametrize(("body", "token"), [(b"12345", "t"), (b"123", "cut to 3 octets: t")])
def test_a_message_shorter_than_its_size_field_is_incomplete(body, token):
    head = f"{MARK}: t\r\n{SIZE}: 5\r\n\r\n"
    assert token_of(head.encode() + body) == token


def test_the_code_of_a_reply_gives_the_result():
    assert [answer_of(code) for code in (250, 451, 554, 0)] == [
        "accepted",
        "refused",
        "refused",
        "unanswered",
    ]


def test_percentiles_count_accepted_messages_only():
    assert percentile(OUTCOMES, 0.5) == 0.3
    assert percentile(OUTCOMES, 1.0) == 0.3
