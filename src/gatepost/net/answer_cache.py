"""A cache of answers to questions, limited in octets; the answer not used for longest is dropped.

Limits: `octets` of memory, measured as Python keeps it: a name and its answer take ENTRY octets and
their text. So the number of answers is limited too, to `octets` / ENTRY. An answer that takes more
than a SHARE of the cache is not kept: clients choose the names, and an answer can have 64 KiB. An
answer that has ended takes its place until it is asked for, replaced or dropped.
"""

from collections import OrderedDict
from collections.abc import Callable
from sys import getsizeof

from gatepost.net.questions import Answer, Kind

# The objects of one entry on CPython 3.11 and 3.13, without text, rounded up.
ENTRY = 320
# A record, without its text: the place in the list, and for MX the pair and the number.
RECORD = 16
PAIR = 112
SHARE = 1 / 16

Key = tuple[Kind, str]


class AnswerCache:
    """Answers with an end; `clock` returns seconds."""

    def __init__(self, octets: int, clock: Callable[[], float]) -> None:
        self._most = octets
        self._clock = clock
        self._entries: OrderedDict[Key, tuple[float, Answer, int]] = OrderedDict()
        self.octets = 0
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Answer | None:
        """Return the answer, None if there is none in force."""
        entry = self._entries.get(key)
        if entry is None or entry[0] <= self._clock():
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, key: Key, answer: Answer, seconds: float) -> None:
        """Keep an answer for some time, in place of an older one."""
        self._drop(key)
        size = size_of(key, answer)
        if size > self._most * SHARE:
            return
        while self.octets + size > self._most:
            self._evict()
        self._entries[key] = (self._clock() + seconds, answer, size)
        self.octets += size

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.octets -= entry[2]

    def _evict(self) -> None:
        _, (end, _, size) = self._entries.popitem(last=False)
        self.octets -= size
        self.evictions += end > self._clock()


def size_of(key: Key, answer: Answer) -> int:
    """Return the octets of memory that an entry takes."""
    records = sum(map(_record_size, answer.records))
    return ENTRY + getsizeof(key[1]) + getsizeof(answer.problem) + records


def _record_size(record: str | tuple[int, str]) -> int:
    if isinstance(record, str):
        return RECORD + getsizeof(record)
    return PAIR + getsizeof(record[1])
