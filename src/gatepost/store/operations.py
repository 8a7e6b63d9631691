"""The operations of the store as values, with the rules of their results.

`apply` is the whole rule of an operation: it receives the live entry of the key and the time, and
returns the result and the new entry. The local stores call it. The scripts for Redis
(`gatepost.store.redis.commands`) state the same rules in Lua; the contract suite compares them.

A value is text or a whole number. A token bucket is one number: the time at which it is full again
(the generic cell rate algorithm, as in ATM Forum TM 4.0). A full bucket needs no entry.

Times are seconds since the epoch. Limits: numbers are within MAX_INT, and a counter stops there.
"""

import math
from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from gatepost.store.errors import KeyTypeError

# Lua, JSON and SQLite represent all whole numbers up to this one exactly.
MAX_INT = 2**53 - 1
# Seconds by which a token may come early. Sums of times of this century have errors below it.
EPSILON = 1e-5
NEVER = math.inf

Value = str | int
R = TypeVar("R")


class Entry(NamedTuple):
    """A stored value: `stored` is text, a number, or for a token bucket a float.

    `expires` is NEVER without a ttl.
    """

    stored: str | int | float
    expires: float = NEVER


class Taken(NamedTuple):
    """The answer of a token bucket; true if the tokens were taken.

    `retry_after` is the time in seconds until they are available: 0 if they were taken, infinite if
    the bucket is smaller than the cost. `remaining` is the number of tokens that are left.
    """

    allowed: bool
    retry_after: float
    remaining: float

    def __bool__(self) -> bool:
        return self.allowed


class Operation(msgspec.Struct, Generic[R], frozen=True):
    """One operation on a key; R is the type of its result."""

    key: str

    def apply(self, entry: Entry | None, now: float) -> tuple[R, Entry | None]:
        """Return the result and the new entry, None if there is none; raise `KeyTypeError`."""
        raise NotImplementedError


class Get(Operation[Value | None], frozen=True):
    """Read a value."""

    def apply(self, entry: Entry | None, now: float) -> tuple[Value | None, Entry | None]:
        """See `Operation.apply`."""
        del now
        if entry is None:
            return None, None
        if isinstance(entry.stored, float):
            raise bucket_error(self.key)
        return entry.stored, entry


class Set(Operation[None], frozen=True):
    """Write a value, whatever the key holds."""

    value: Value
    ttl: float | None

    def apply(self, entry: Entry | None, now: float) -> tuple[None, Entry | None]:
        """See `Operation.apply`."""
        del entry
        return None, Entry(self.value, _expiry(now, self.ttl))


class Add(Operation[bool], frozen=True):
    """Write a value if the key is absent; the result is whether it was."""

    value: Value
    ttl: float | None

    def apply(self, entry: Entry | None, now: float) -> tuple[bool, Entry | None]:
        """See `Operation.apply`."""
        if entry is not None:
            return False, entry
        return True, Entry(self.value, _expiry(now, self.ttl))


class Incr(Operation[int], frozen=True):
    """Add to a counter; the ttl applies when the counter is created."""

    by: int
    ttl: float | None

    def apply(self, entry: Entry | None, now: float) -> tuple[int, Entry | None]:
        """See `Operation.apply`."""
        if entry is None:
            return self.by, Entry(self.by, _expiry(now, self.ttl))
        if not isinstance(entry.stored, int):
            raise number_error(self.key)
        total = max(-MAX_INT, min(MAX_INT, entry.stored + self.by))
        return total, Entry(total, entry.expires)


class Delete(Operation[bool], frozen=True):
    """Remove a key; the result is whether it existed."""

    def apply(self, entry: Entry | None, now: float) -> tuple[bool, Entry | None]:
        """See `Operation.apply`."""
        del now
        return entry is not None, None


class Take(Operation[Taken], frozen=True):
    """Take tokens from a bucket of `burst` tokens that gets `rate` tokens a second."""

    rate: float
    burst: float
    cost: float

    def apply(self, entry: Entry | None, now: float) -> tuple[Taken, Entry | None]:
        """See `Operation.apply`."""
        full_at = now if entry is None else self._full_at(entry.stored)
        then = full_at + self.cost / self.rate
        wait = then - self.burst / self.rate - now
        if wait <= EPSILON:
            return self.taken(0.0, then - now), Entry(float(then), float(then))
        return self.taken(wait, full_at - now), entry

    def _full_at(self, stored: str | float) -> float:
        if not isinstance(stored, float):
            raise bucket_error(self.key)
        return stored

    def taken(self, wait: float, filling: float) -> Taken:
        """Return the result of a bucket that is full in `filling` seconds.

        `wait` is 0 if the tokens were taken.
        """
        remaining = max(0.0, self.burst - filling * self.rate)
        if self.cost > self.burst:
            wait = math.inf
        return Taken(wait == 0.0, wait, remaining)


def live(entry: Entry | None, now: float) -> Entry | None:
    """Return the entry unless it has expired."""
    return entry if entry is not None and entry.expires > now else None


def number_error(key: str) -> KeyTypeError:
    """Return the error of a counter whose key holds something else."""
    return KeyTypeError(f"key {key[:80]!r}: expected a number, found another type")


def bucket_error(key: str) -> KeyTypeError:
    """Return the error of a value where a bucket is expected, or the reverse."""
    return KeyTypeError(f"key {key[:80]!r}: found a token bucket in place of a value, or a value")


def _expiry(now: float, ttl: float | None) -> float:
    return NEVER if ttl is None else now + ttl


AnyOperation = Operation[Any]


def read_only(operations: Sequence[AnyOperation]) -> bool:
    """Return whether the operations change nothing."""
    return all(isinstance(operation, Get) for operation in operations)
