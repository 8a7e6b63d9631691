"""Any records give an SPF result, with a bounded number of questions and a printable reason.

An input is a list of lines. The first three are HELO name, sender and IP version; the rest are the
records of domains, in the order in which they are asked for. The last line answers all other
questions for text.
"""

import sys
from collections.abc import Sequence

from fuzz.engine import Target, run
from gatepost.mailauth.spf import SpfResult, check_host
from gatepost.net.questions import EMPTY, Answer, Question, found

TOKENS = [
    *(b"v=spf1 ", b" a", b" mx", b" ptr", b" -all", b" ip4:", b" ip6:", b" include:", b" exists:"),
    *(b" redirect=", b" exp=", b"%{", b"}", b"%{d}", b"%{p}", b"%{ir}", b"%{l1r-}", b"%%", b"%_"),
    *(b"a.example", b".", b"..", b":", b"/", b"//", b"24", b"192.0.2.1", b"2001:db8::1", b"\n"),
]
SEEDS = [
    b"mail.example\nuser@a.example\n4\nv=spf1 mx a:b.example/24//64 include:%{d2} -all",
    b"mail.example\n\n6\nv=spf1 exists:%{ir}.%{v}.%{l1r-}.x redirect=b.example\nv=spf1 ?all",
    b"x\na@b.example\n4\nv=spf1 ptr ip4:192.0.2.0/25 ip6:::/0 exp=e.example -all\nNot %{i}, %{p}.",
]
ADDRESSES = {"4": "192.0.2.1", "6": "2001:db8::1"}
MOST_QUESTIONS = 1 + 10 * 11 + 11 + 1


class Records:
    """The answers that the lines of an input give."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._next = 0
        self.asked = 0

    def answer(self, question: Question) -> Answer:
        """Return an answer to any question."""
        self.asked += 1
        if not self._lines:
            return EMPTY
        if question.kind == "TXT":
            self._next += 1
            return found([self._lines[min(self._next, len(self._lines)) - 1]])
        words = self._lines[-1].split(":")
        return found([(1, one) for one in words] if question.kind == "MX" else words)


def play(data: bytes) -> tuple[SpfResult, int]:
    """Return the result of an input and the number of questions."""
    lines = data.decode("utf-8", "replace").split("\n")
    helo, sender, version = (*lines[:3], "", "", "")[:3]
    records = Records(lines[3:])
    ip = ADDRESSES.get(version, "192.0.2.1")
    check = check_host(ip, "", sender, helo, explain=True)
    answers: Sequence[Answer] | None = None
    while True:
        try:
            questions = check.send(answers) if answers is not None else next(check)
        except StopIteration as done:
            return done.value, records.asked
        answers = [records.answer(one) for one in questions]


def check(data: bytes) -> None:
    """Raise if the invariant does not hold."""
    result, asked = play(data)
    assert asked <= MOST_QUESTIONS
    for text in (result.reason, result.explanation):
        assert text.isascii()
        assert text.isprintable()
    assert result.reason


if __name__ == "__main__":
    sys.exit(run(Target(check, SEEDS, TOKENS)))
