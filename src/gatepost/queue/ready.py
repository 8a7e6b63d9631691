"""Mail that has just been put and waits a moment for room: so it is not read from the spool again.

It is in the spool all the same, where it is found again once it is dropped here: with each tick of
the queue, so that it is not kept from an administrator's command for long, and if the destination
turns out to be dead.

Limits: MAX_WORKS of it, each with at most MAX_PIECE octets of content.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from gatepost.queue.spool.records import Work
from gatepost.queue.spool.store import Store

MAX_WORKS = 500
MAX_PIECE = 64 * 1024


class Ready(NamedTuple):
    """Work, and the store it is in."""

    work: Work
    store: Store


class ReadyQueue:
    """Offers by destination, first come first served."""

    def __init__(self) -> None:
        self._offers: dict[str, deque[Ready]] = {}
        self._count = 0

    @property
    def is_full(self) -> bool:
        """Whether there is no room for more."""
        return self._count >= MAX_WORKS

    def add(self, offer: Ready) -> bool:
        """Keep an offer; return whether there was room for it."""
        if self.is_full or len(offer.work.first) > MAX_PIECE:
            return False
        self._offers.setdefault(offer.work.destination, deque()).append(offer)
        self._count += 1
        return True

    def take(self, has_room: Callable[[str], bool]) -> Iterator[Ready]:
        """Yield offers for as long as a destination has room, one for each in turn."""
        found = True
        while found:
            found = False
            for name in [name for name in self._offers if has_room(name)]:
                yield self._pop(name)
                found = True

    def drop(self, destination: str) -> Iterator[Ready]:
        """Yield and forget all offers for a destination."""
        while destination in self._offers:
            yield self._pop(destination)

    def drop_all(self) -> Iterator[Ready]:
        """Yield and forget all offers."""
        for name in list(self._offers):
            yield from self.drop(name)

    def _pop(self, name: str) -> Ready:
        offers = self._offers[name]
        self._count -= 1
        offer = offers.popleft()
        if not offers:
            del self._offers[name]
        return offer
