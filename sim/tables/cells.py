"""The texts in the cells of tables."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.metrics import Count

NONE = "-"
NAMES = {"small": "small site", "company": "company"}


def percent(share: float) -> str:
    """Return a share as percent."""
    return f"{100 * share:.1f} %"


def shares(found: Sequence[float]) -> tuple[str, str]:
    """Return the median of the seeds and the smallest share of a seed."""
    return (percent(median(found)), percent(min(found))) if found else (NONE, NONE)


def rate(count: Count) -> str:
    """Return refused messages in 100,000, with the exact interval."""
    low, high = count.per_100_000()
    found = 1e5 * count.refused / max(1, count.messages)
    return f"{found:.2f} ({low:.2f} to {high:.2f})"
