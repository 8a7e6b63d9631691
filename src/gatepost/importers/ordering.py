"""Transactions in the order of their start.

Importers return a transaction when it ends, so a long one comes after short ones that started
later. A transaction is held until the log is HORIZON seconds past its start, or MOST_HELD are held.
"""

import heapq
from collections.abc import Iterable, Iterator

from gatepost.importers.transaction import Transaction

HORIZON = 3600.0
MOST_HELD = 20_000


def in_order(
    transactions: Iterable[Transaction], horizon: float = HORIZON, most: int = MOST_HELD
) -> Iterator[Transaction]:
    """Yield the transactions by their start; those later than the horizon come as they are."""
    held: list[tuple[float, int, Transaction]] = []
    newest = float("-inf")
    for number, one in enumerate(transactions):
        heapq.heappush(held, (one.time, number, one))
        newest = max(newest, one.ended)
        while held and (held[0][0] <= newest - horizon or len(held) > most):
            yield heapq.heappop(held)[2]
    while held:
        yield heapq.heappop(held)[2]
