"""The counts of hits of learned traps over thirty days, for the estimate of `gatepost.traps.guard`.

The store has a counter for each day. A source is a network that hits a trap, at most once a day. A
trap has a legitimate sender once if the counter of the day of the first one has it; the second one
takes it away from there again.

Limits: a counter that is lost makes the estimate wrong for up to thirty days.
"""

from gatepost import Store
from gatepost.traps.guard import DAYS, Counts
from gatepost.traps.memory import DAY

_MONTH = DAYS * DAY
_NAMES = ("hits", "sources", "once", "accepted")


class TrapCounts:
    """The counters in a store; its methods raise StoreError. Times are in seconds."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def count_hit(self, now: float, trap: str, network: str) -> None:
        """Count a hit of a learned trap."""
        async with self._store.batch() as batch:
            is_new = batch.add(f"source {trap} {network}", ttl=DAY)
            batch.incr(f"hits {_day(now)}", ttl=_MONTH + DAY)
        if is_new.value:
            await self._add(now, "sources", 1)

    async def count_sender(self, now: float, trap: str, domain: str) -> None:
        """Count a legitimate sender of a learned trap."""
        if not await self._store.add(f"sender {trap} {domain}", ttl=_MONTH):
            return
        number = await self._store.incr(f"senders {trap}", ttl=_MONTH)
        if number == 1:
            await self._store.set(f"first {trap}", int(now), ttl=_MONTH)
            await self._add(now, "once", 1)
        elif number == 2:
            first = await self._store.get(f"first {trap}")
            if isinstance(first, int):
                await self._add(first, "once", -1)

    async def count_accepted(self, now: float, number: int) -> None:
        """Count accepted messages."""
        await self._add(now, "accepted", number)

    async def sums(self, now: float) -> Counts:
        """Return the sums of the last days."""
        days = range(_day(now) - DAYS + 1, _day(now) + 1)
        async with self._store.batch() as batch:
            found = {name: [batch.get(f"{name} {day}") for day in days] for name in _NAMES}
        values = {name: [one.value for one in counters] for name, counters in found.items()}
        sums = {
            name: sum(one for one in counters if isinstance(one, int))
            for name, counters in values.items()
        }
        return Counts(**sums)

    async def _add(self, at: float, name: str, number: int) -> None:
        await self._store.incr(f"{name} {_day(at)}", number, ttl=_MONTH + DAY)


def _day(at: float) -> int:
    return int(at // DAY)
