"""A journal in the store: texts that the workers append, and that each of them reads in order.

An append is two operations: it takes a number and writes the text under it. A reader that finds a
number without a text waits for it until GRACE seconds have passed, because another worker may be
between the two. It does not wait for numbers from before its first read, whose texts may have
expired.

Limits: of what it has missed a reader gets the last MOST texts. A text is within the limit of the
store (4096 octets).
"""

from gatepost import Store

# The operations of one batch: 30 ms on SQLite, in a thread.
MOST = 1000
GRACE = 10.0

# The key of the last number.
LAST = "last"


class Journal:
    """The place of one worker in the journal; a text is kept for `ttl` seconds."""

    def __init__(self, ttl: float) -> None:
        self._ttl = ttl
        self._next = 0
        self._waits_since: float | None = None

    def is_behind(self, last: int) -> bool:
        """Return whether there are texts to read up to a number."""
        return last >= self._next and last > 0

    async def append(self, store: Store, text: str) -> int:
        """Write a text and return its number; raises StoreError."""
        number = await store.incr(LAST)
        await store.set(f"entry {number}", text, ttl=self._ttl)
        return number

    async def read(self, store: Store, last: int, now: float) -> list[str]:
        """Return the texts up to a number that were not returned yet; raises StoreError."""
        first = max(self._next, last - MOST + 1, 1)
        async with store.batch() as batch:
            found = [(number, batch.get(f"entry {number}")) for number in range(first, last + 1)]
        is_first = self._next == 0
        texts: list[str] = []
        for number, entry in found:
            if number < self._next:  # another session has read it meanwhile
                continue
            if entry.value is None and not is_first and self._waits(now):
                return texts
            self._next = number + 1
            if isinstance(entry.value, str):
                texts.append(entry.value)
        self._waits_since = None
        return texts

    def _waits(self, now: float) -> bool:
        if self._waits_since is None:
            self._waits_since = now
        return now - self._waits_since < GRACE
