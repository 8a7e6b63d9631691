"""The memory of trap hits: networks and proven domains that recently hit a trap.

Most spam names one recipient per transaction. A rule for one message stops little of it, and the
memory of the network or the sender's domain stops the rest of the campaign. A hit is remembered for
7 days, in which mail of strangers is marked, and for 24 hours, in which it can be refused.

A key is a short text, and its value is the time of the last hit in whole seconds. To remember a
hit is one write of the same value to each key, without a read. To judge a message is one read of
all its keys. Both fit the store that workers share, with `Lifetimes.longest` as time to live.

- A network is a /24 of IPv4. Of IPv6 it is a /64, which one host has, and a /48, which one customer
  has; a hit counts for both.
- A domain counts only if it is proven, see `is_proven`.
- Networks that many organisations share are never remembered. The caller asks `shared` first.

Limits: `most` keys; the key whose last hit is the oldest is dropped first. Times are arguments, in
seconds; a time that goes back never shortens a memory.
"""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

import msgspec

DAY = 86400
MOST_KEYS = 200_000

IpAddress: TypeAlias = IPv4Address | IPv6Address


class Lifetimes(msgspec.Struct, frozen=True):
    """The seconds for which a hit counts: for marking, and for refusing."""

    marking: float = 7 * DAY
    refusing: float = DAY

    @property
    def longest(self) -> float:
        """The time after which a value can be deleted."""
        return max(self.marking, self.refusing)


class Recall(msgspec.Struct, frozen=True):
    """The answer of the memory: the age of the last hit in seconds, None without one."""

    age: float | None
    marks: bool
    refuses: bool


NO_RECALL = Recall(None, marks=False, refuses=False)


def network_keys(address: IpAddress) -> tuple[str, ...]:
    """Return the keys of a client's networks; an IPv4-mapped address counts as IPv4."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            number = int(address)
            return f"6{number >> 64:x}", f"4{number >> 80:x}"
        address = address.ipv4_mapped
    return (f"2{int(address) >> 8:x}",)


def domain_key_of(domain: str) -> str:
    """Return the key of a domain, which is in the form of `domain_key`."""
    return f"d{domain}"


def is_proven(*, spf_aligned: bool, dkim_aligned: bool, shared_network: bool) -> bool:
    """Return whether a domain is proven well enough to be held responsible.

    DKIM alone proves nothing here: any recipient of a signed message can send it again, with a
    valid signature, to a trap. SPF alone proves nothing from a shared network: every customer of a
    provider passes for the domains that include it.
    """
    return spf_aligned and (dkim_aligned or not shared_network)


def judge(now: float, hits: Iterable[float | None], lifetimes: Lifetimes) -> Recall:
    """Return the answer for the values of all keys of a message; None is a key without a value."""
    last = max((one for one in hits if one is not None), default=None)
    if last is None:
        return NO_RECALL
    age = max(now - last, 0.0)
    return Recall(age, marks=age <= lifetimes.marking, refuses=age <= lifetimes.refusing)


class TrapMemory:
    """The memory in one process. It is also the description of what the shared store does."""

    def __init__(self, lifetimes: Lifetimes | None = None, most: int = MOST_KEYS) -> None:
        self.lifetimes = lifetimes or Lifetimes()
        self._most = most
        self._hits: dict[str, float] = {}  # in the order of the last hit

    def __len__(self) -> int:
        return len(self._hits)

    def remember(self, now: float, keys: Iterable[str]) -> None:
        """Record a trap hit under each key."""
        for key in keys:
            self._hits[key] = max(now, self._hits.pop(key, now))
        while len(self._hits) > self._most:
            del self._hits[next(iter(self._hits))]

    def recall(self, now: float, keys: Iterable[str]) -> Recall:
        """Return whether a message with these keys is to be marked or refused."""
        return judge(now, map(self._hits.get, keys), self.lifetimes)

    def forgive(self, keys: Iterable[str]) -> int:
        """Delete keys; return how many there were."""
        return sum(self._hits.pop(key, None) is not None for key in keys)

    def expire(self, now: float) -> int:
        """Delete what no longer counts; return how many keys that were.

        The time is proportional to the deleted keys, because the oldest are first.
        """
        before = len(self._hits)
        while self._hits:
            key = next(iter(self._hits))
            if now - self._hits[key] <= self.lifetimes.longest:
                break
            del self._hits[key]
        return before - len(self._hits)

    def dump(self) -> dict[str, int]:
        """Return all keys with the time of their last hit in whole seconds, the oldest first."""
        return {key: int(hit) for key, hit in self._hits.items()}

    def load(self, hits: Mapping[str, float]) -> None:
        """Add what `dump` returned, in any order."""
        for key, hit in sorted(hits.items(), key=lambda pair: pair[1]):
            self.remember(hit, (key,))
