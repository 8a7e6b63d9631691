"""Merge runs of sessions by time. Each run receives the outcome of its own sessions."""

from __future__ import annotations

from collections.abc import Generator
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from sim.sessions import Outcome, Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sim.actors.actor import Run

Entry = tuple[float, int, Session, Generator[Session, Outcome, None]]


def merge(runs: Iterable[Run]) -> Run:
    """Yield the sessions of all runs in the order of time; equal times in the order of the runs.

    A run that goes back in time continues at the time of the others.
    """
    waiting: list[Entry] = []
    numbers = count()
    for run in runs:
        _advance(waiting, next(numbers), run, None)
    while waiting:
        _, number, session, run = heappop(waiting)
        outcome = yield session
        _advance(waiting, number, run, outcome)


def _advance(waiting: list[Entry], number: int, run: Run, outcome: Outcome | None) -> None:
    try:
        session = next(run) if outcome is None else run.send(outcome)
    except StopIteration:
        return
    heappush(waiting, (session.time, number, session, run))
