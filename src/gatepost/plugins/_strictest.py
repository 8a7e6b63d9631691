"""The reaction that decides if there are several: a refusal, or else a deferral, or else a hold."""

from collections.abc import Iterable
from typing import TypeVar

from gatepost import Reaction

STRICTEST_FIRST = ("deny", "defer", "hold")

T = TypeVar("T")


def strictest(found: Iterable[tuple[Reaction, T]]) -> tuple[Reaction, T] | None:
    """Return the first one with the strictest reaction; None if no reaction is a decision."""
    deciding = [one for one in found if one[0].word in STRICTEST_FIRST]
    return min(deciding, key=lambda one: STRICTEST_FIRST.index(one[0].word), default=None)
