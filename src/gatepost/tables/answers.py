"""Answers with an end, for caches of look-ups.

Limits: `most` answers; the oldest is dropped. Positive and negative answers belong into separate
caches, so that guessed keys do not push real ones out.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

# Seconds after which a new key is found, at the latest.
NEGATIVE = 60.0
MOST = 10_000

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Answers(Generic[K, V]):
    """Answers that are used for `seconds`, at most `most` of them."""

    def __init__(self, seconds: float, most: int = MOST) -> None:
        self._seconds = seconds
        self._most = most
        self._answers: dict[K, tuple[float, V]] = {}

    def get(self, key: K, now: float) -> tuple[float, V] | None:
        """Return the end of an answer and the answer, None if there is none in force."""
        found = self._answers.get(key)
        return found if found is not None and now < found[0] else None

    def put(self, key: K, answer: V, now: float) -> None:
        """Keep an answer."""
        self._answers.pop(key, None)
        if len(self._answers) >= self._most:
            del self._answers[next(iter(self._answers))]
        self._answers[key] = now + self._seconds, answer
