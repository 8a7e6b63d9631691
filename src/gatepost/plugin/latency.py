"""The time that the methods of plugins take.

A method that waits is measured each time. Most methods return at once, and a clock before and after
each of them would cost more than they do. So one stage in SAMPLING is measured method by method,
and each of its methods counts SAMPLING times. The distance between two measured stages is random: a
fixed one would always find the same hooks of a session. A measured stage of 20 methods takes about
20 µs longer; with one in 64 that is about 2 µs for a message.

A measured call is therefore an estimate: rare slow calls in place can be missed. Every call in
place above 0.1 s is in the log (`plugin slow`).
"""

import random
from bisect import bisect_left

from gatepost.metrics.status import HOOK_BUCKETS

SAMPLING = 64


class HookLatency:
    """The histogram of one method of one plugin, and its failures, time-outs among them."""

    __slots__ = ("counts", "failures", "seconds", "timeouts")

    def __init__(self) -> None:
        self.counts = [0] * (len(HOOK_BUCKETS) + 1)
        self.seconds = 0.0
        self.failures = 0
        self.timeouts = 0

    def add(self, seconds: float, weight: int = 1) -> None:
        """Add `weight` calls that each took this time."""
        self.counts[bisect_left(HOOK_BUCKETS, seconds)] += weight
        self.seconds += seconds * weight


def next_distance() -> int:
    """Return the number of stages up to the next one to measure, SAMPLING on average."""
    return random.randrange(1, 2 * SAMPLING)  # noqa: S311 - no secret
