"""The replies to good senders, and their comparison with the messages that arrived.

A message accepted with 250 must arrive exactly once. A refused message must not arrive. A message
without a reply, because its connection was cut, may arrive, but not twice.
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
    """One message: its token, its result, the code of the reply, the seconds until the reply.

    `at` is the time of the reply (time.time()), `status` its enhanced status code.
    """

    token: str
    answer: Answer
    code: int
    seconds: float
    at: float = 0.0
    status: str = ""

    @property
    def started(self) -> float:
        """The time at which the sender started to send it."""
        return self.at - self.seconds


@dataclass(frozen=True)
class Verdict:
    """The tokens that are missing, or present although they must not be."""

    lost: Sequence[str]
    duplicated: Sequence[str]
    refused_but_present: Sequence[str]
    not_sent: Sequence[str]

    @property
    def problems(self) -> list[str]:
        """Descriptions of the errors."""
        found = {
            "accepted with 250 and lost": self.lost,
            "present more than once": self.duplicated,
            "refused but present": self.refused_but_present,
            "present but never sent": self.not_sent,
        }
        return [
            f"{len(some)} {error}: {', '.join(some[:5])}" for error, some in found.items() if some
        ]


def answer_of(code: int) -> Answer:
    """Return the result for the code of a reply; 0 is no reply."""
    return "accepted" if code == 250 else "refused" if code >= 400 else "unanswered"


def judge(outcomes: Iterable[Outcome], arrived: Counter[str]) -> Verdict:
    """Compare the replies with the number of arrivals of each token."""
    answers = {one.token: one.answer for one in outcomes}
    return Verdict(
        lost=[one for one, answer in answers.items() if answer == "accepted" and not arrived[one]],
        duplicated=[one for one, times in arrived.items() if times > 1],
        refused_but_present=[one for one in arrived if answers.get(one) == "refused"],
        not_sent=[one for one in arrived if one not in answers],
    )


def arrived_in(folders: Iterable[Path]) -> Counter[str]:
    """Count the tokens of all messages in Maildirs."""
    files = (
        file for folder in folders for part in ("new", "cur") for file in (folder / part).glob("*")
    )
    return Counter(token_of(file.read_bytes()) for file in files)


def token_of(content: bytes) -> str:
    """Return the token of a message, or an error if it has none or is incomplete."""
    head, _, body = content.partition(b"\r\n\r\n")
    text = head.decode("latin-1")
    found, size = _TOKEN.search(text), _SIZE.search(head)
    if not found:
        return f"no token: {text[:80]!r}"
    if size and int(size[1]) != len(body):
        return f"cut to {len(body)} octets: {found[1]}"
    return found[1]


def percentile(outcomes: Iterable[Outcome], share: float) -> float:
    """Return the seconds within which a share of the accepted messages had a reply."""
    waits = sorted(one.seconds for one in outcomes if one.answer == "accepted")
    return waits[min(len(waits) - 1, int(len(waits) * share))] if waits else float("nan")
