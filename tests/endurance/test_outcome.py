"""The harness tells a server that keeps its word from one that does not."""

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
def test_all_is_well(there):
    assert judge(OUTCOMES, Counter(there)).problems == []


@pytest.mark.parametrize(
    ("there", "problem"),
    [
        (["a"], "1 answered 250 and lost: b"),
        (["a", "b", "b"], "1 there more than once: b"),
        (["a", "b", "u", "u"], "1 there more than once: u"),
        (["a", "b", "r"], "1 refused and there all the same: r"),
        (["a", "b", "x"], "1 there and never sent: x"),
    ],
)
def test_what_is_wrong_is_said(there, problem):
    assert judge(OUTCOMES, Counter(there)).problems == [problem]


def test_tokens_are_counted_in_maildirs(tmp_path):
    for part, name in (("new", "1"), ("cur", "2"), ("tmp", "3")):
        (tmp_path / "box" / part).mkdir(parents=True)
        (tmp_path / "box" / part / name).write_text(f"Subject: x\r\n{MARK}: t\r\n\r\n")
    (tmp_path / "box/new/4").write_text("Smuggled: yes\r\n\r\n")
    arrived = arrived_in([tmp_path / "box"])
    assert arrived["t"] == 2
    assert [one for one in arrived if one.startswith("without token: 'Smuggled")]


@pytest.mark.parametrize(("body", "token"), [(b"12345", "t"), (b"123", "cut to 3 octets: t")])
def test_a_message_that_says_its_size_has_to_be_whole(body, token):
    head = f"{MARK}: t\r\n{SIZE}: 5\r\n\r\n"
    assert token_of(head.encode() + body) == token


def test_answers_by_code():
    assert [answer_of(code) for code in (250, 451, 554, 0)] == [
        "accepted",
        "refused",
        "refused",
        "unanswered",
    ]


def test_percentiles_are_of_what_was_accepted():
    assert percentile(OUTCOMES, 0.5) == 0.3
    assert percentile(OUTCOMES, 1.0) == 0.3
