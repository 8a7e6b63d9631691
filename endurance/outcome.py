"""What good senders were told of each message, and whether what arrived agrees with it.

A message that was answered 250 has to be there exactly once; one that was refused, never. One whose
sender never had an answer – its connection was cut – may be there or not, but not twice.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Answer = Literal["accepted", "refused", "unanswered"]

MARK = "Message-Token"
SIZE = "Message-Size"
_TOKEN = re.compile(rf"^{MARK}: ([a-z0-9.-]+)\r?$", re.MULTILINE)
_SIZE = re.compile(rb"^%b: ([0-9]+)\r?$" % SIZE.encode(), re.MULTILINE)


class Outcome(NamedTuple):
    """One message: its token, what came of it, the reply's code, the seconds until then.

    `at` is when that was (time.time()).
    """

    token: str
    answer: Answer
    code: int
    seconds: float
    at: float = 0.0

    @property
    def begun(self) -> float:
        """When it began to be sent."""
        return self.at - self.seconds


@dataclass(frozen=True)
class Verdict:
    """The tokens that should not be where they are, or are not where they should be."""

    lost: Sequence[str]
    doubled: Sequence[str]
    refused_and_there: Sequence[str]
    strangers: Sequence[str]

    @property
    def problems(self) -> list[str]:
        """What is wrong, in words."""
        found = {
            "answered 250 and lost": self.lost,
            "there more than once": self.doubled,
            "refused and there all the same": self.refused_and_there,
            "there and never sent": self.strangers,
        }
        return [
            f"{len(some)} {what}: {', '.join(some[:5])}" for what, some in found.items() if some
        ]


def answer_of(code: int) -> Answer:
    """Return what a reply's code says; 0 is none."""
    return "accepted" if code == 250 else "refused" if code >= 400 else "unanswered"


def judge(outcomes: Iterable[Outcome], arrived: Counter[str]) -> Verdict:
    """Compare what was answered with how often each token arrived."""
    answers = {one.token: one.answer for one in outcomes}
    return Verdict(
        lost=[one for one, said in answers.items() if said == "accepted" and not arrived[one]],
        doubled=[one for one, times in arrived.items() if times > 1],
        refused_and_there=[one for one in arrived if answers.get(one) == "refused"],
        strangers=[one for one in arrived if one not in answers],
    )


def arrived_in(folders: Iterable[Path]) -> Counter[str]:
    """Count the tokens of all messages in Maildirs."""
    files = (
        file for folder in folders for part in ("new", "cur") for file in (folder / part).glob("*")
    )
    return Counter(token_of(file.read_bytes()) for file in files)


def token_of(content: bytes) -> str:
    """Return the token a message carries; what is wrong with it if it has none or is not whole."""
    head, _, body = content.partition(b"\r\n\r\n")
    text = head.decode("latin-1")
    found, size = _TOKEN.search(text), _SIZE.search(head)
    if not found:
        return f"without token: {text[:80]!r}"
    if size and int(size[1]) != len(body):
        return f"cut to {len(body)} octets: {found[1]}"
    return found[1]


def percentile(outcomes: Iterable[Outcome], share: float) -> float:
    """Return the seconds within which a share of the accepted messages were answered."""
    waits = sorted(one.seconds for one in outcomes if one.answer == "accepted")
    return waits[min(len(waits) - 1, int(len(waits) * share))] if waits else float("nan")
