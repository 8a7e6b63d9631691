"""Questions to the DNS as values: a check yields them, and its caller answers them.

Theory of operation
-------------------
A check is a generator. It yields the questions that can be answered at the same time, is sent their
answers in the same order, and returns its result. So it waits for nothing, and runs on an event
loop (`gatepost.net.ask`), on the records of a test (`gatepost.mailauth.zone`) and in a trace.

Names, addresses and text in answers are untrusted data; the check examines them.
"""

from collections.abc import Generator, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")

Kind: TypeAlias = Literal["A", "AAAA", "MX", "TXT", "PTR"]
Status: TypeAlias = Literal["found", "empty", "absent", "failed"]


class Question(NamedTuple):
    """A type of record and a name; for PTR `name` is an IP address as text."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Answer(NamedTuple):
    """The answer to a question.

    `records` are texts, and (preference, host) pairs for MX. `status` is "found" with records,
    "empty" without a record of this type, "absent" if the name does not exist, "failed" if it is
    not known; `problem` is then the reason.
    """

    status: Status
    records: Sequence[Any] = ()
    problem: str = ""


EMPTY = Answer("empty")
ABSENT = Answer("absent")

Check: TypeAlias = Generator[Sequence[Question], Sequence[Answer], T]


def found(records: Sequence[Any]) -> Answer:
    """Return the answer with these records, "empty" without any."""
    return Answer("found", records) if records else EMPTY


def ask_one(kind: Kind, name: str) -> Check[Answer]:
    """Ask one question and return its answer: `yield from` this in a check."""
    (answer,) = yield (Question(kind, name),)
    return answer
