"""Bisecting: a client finds out which of many addresses are traps, by ever smaller sets.

A refusal because of a trap shows a client that one of its recipients is a trap. Halves of the set
then lead to the trap in a few messages. Nothing else sends such a chain: a server never splits a
message after a refusal, and a person sends again to fewer colleagues once or twice.

Theory of operation
-------------------
A `Probe` is a transaction of a stranger that reached DATA. A refused one with at least LEAST
recipients is kept for a week. A later probe *refines* it if nearly all of its recipients are in the
set, and if it is at most three quarters of the set, or a single recipient. Its depth is one more
than that of the set. A refinement that passes leaves the rest of the set as suspicious: the rest
is kept, with the same depth.

- A trap is *exposed* at a chain of CHAIN refinements of which at least one was refused, whichever
  clients they come from. The traps of the first set of the chain are exposed.
- A cluster (a network, a proven domain) is *flagged* only by what it did itself: CHAIN refinements
  in one chain, or SINGLES different single recipients within a day out of a set that it sent. At
  least one of them was refused.

A client decides what it sends, so the rules hold back. A cluster that was flagged for the chain of
others could be framed: a message to all users of a site makes every later trap hit a refinement.
For the same reason a refinement that passes, or has a single recipient, counts only from a cluster
of the chain; otherwise the ordinary mail and spam of others would extend it. Without a refusal in
it, a chain is what a person does who writes to all colleagues but one.

Limits: MOST_SETS sets of at most MOST_RECIPIENTS recipients, about 15 MB, and MOST_OF_SOURCE of a
network. The oldest set of the network with the most sets is dropped first, so a flood drops sets of
others only from many networks. Not recognised: a client that adds known addresses to more than a
tenth of each set, one whose every message comes from another network and passes, and single
recipients from other networks than the set. Times are arguments, in seconds; recipients are
hashes of 32 bits.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from math import ceil
from typing import NamedTuple

import msgspec

from gatepost.traps.memory import DAY

LEAST = 3
CHAIN = 3
SINGLES = 5
CONTAINED = 0.9
SHRUNK = 0.75
KEPT = 7 * DAY
MOST_RECIPIENTS = 200
MOST_SETS = 1000
MOST_OF_SOURCE = 16
# The clusters of one chain, and the last single recipients of each, that are kept.
MOST_KEYS = 16
MOST_SINGLES = 20

Members = frozenset[int]


class Probe(msgspec.Struct, frozen=True):
    """A transaction of a stranger that reached DATA.

    `recipients` are hashes of those that were accepted or are traps, `keys` the clusters that
    answer for the sender, none from a shared network. `source` is the network, for the limits.
    `refused` is whether a trap refused it; `traps` are the traps in it.
    """

    at: float
    recipients: Members
    source: str
    keys: tuple[str, ...] = ()
    refused: bool = False
    traps: tuple[str, ...] = ()


class Finding(NamedTuple):
    """The result of a probe: exposed traps, flagged clusters, and the length of the chain.

    The flagged clusters are among those of the probe.
    """

    traps: tuple[str, ...]
    keys: tuple[str, ...]
    chain: int


class _Own(NamedTuple):
    """The part of one cluster in a chain: its refinements, and whether one of them was refused."""

    refinements: int
    refused: bool


_NOTHING = _Own(0, refused=False)


class _Set(msgspec.Struct, eq=False):
    """A suspicious set: it has a trap, as far as a client can see.

    `keys` are the clusters of its chain, `own` what they did. `traps` are those of the first set.
    `singles` are the times of
    single recipients out of it, and whether they were refused, by cluster.
    """

    at: float
    members: Members
    source: str
    keys: set[str]
    traps: tuple[str, ...]
    depth: int = 0
    refused: bool = False
    own: Mapping[str, _Own] = {}
    singles: dict[str, dict[int, tuple[float, bool]]] = {}

    def is_refined_by(self, recipients: Members) -> bool:
        """Return whether recipients are nearly all in this set, and much fewer, or one."""
        inside, size = len(recipients & self.members), len(recipients)
        is_smaller = size == 1 or size <= SHRUNK * len(self.members)
        return inside > 0 and is_smaller and inside >= CONTAINED * size

    def has_cluster_of(self, probe: Probe) -> bool:
        """Return whether a probe comes from a cluster of the chain."""
        return not self.keys.isdisjoint(probe.keys)


class Bisecting:
    """The suspicious sets of the last week."""

    def __init__(self, most: int = MOST_SETS, most_of_source: int = MOST_OF_SOURCE) -> None:
        self._most = most
        self._most_of_source = most_of_source
        self._sets: dict[Members, _Set] = {}  # the oldest first
        self._sources: dict[str, dict[Members, None]] = {}

    def __len__(self) -> int:
        return len(self._sets)

    def concerns(self, probe: Probe) -> bool:
        """Return whether a probe has to be observed: a new set, or a refinement of one."""
        return _fits(probe) and (_is_first(probe) or next(self._refined(probe), None) is not None)

    def observe(self, probe: Probe) -> Finding | None:
        """Record a probe; return what it shows, None for nothing."""
        self._expire(probe.at)
        if not _fits(probe):
            return None
        refined = list(self._refined(probe))
        if refined:
            return self._observe_refinement(probe, refined)
        if _is_first(probe):
            self._keep(_first(probe))
        return None

    def _observe_refinement(self, probe: Probe, refined: list[_Set]) -> Finding | None:
        singles = _count_singles(probe, refined) if len(probe.recipients) == 1 else ()
        found = _extended(probe, refined)
        if probe.refused:
            self._keep(found)
        elif len(probe.recipients) > 1:
            self._keep(_rest(found, max(refined, key=_depth)))
        return _judge(probe, found, singles)

    def _refined(self, probe: Probe) -> Iterator[_Set]:
        """Yield the sets that a probe refines.

        From a cluster outside of the chain it has to be refused, and no single recipient: those
        are what other spam consists of.
        """
        counts = probe.refused and len(probe.recipients) > 1
        some = _some_inside(probe.recipients)
        for one in self._sets.values():
            if some.isdisjoint(one.members):
                continue
            if (counts or one.has_cluster_of(probe)) and one.is_refined_by(probe.recipients):
                yield one

    def _keep(self, new: _Set) -> None:
        if len(new.members) < 2:  # it cannot be refined
            return
        known = self._sets.get(new.members)
        if known is not None and known.depth >= new.depth:
            known.keys.update(list(new.keys)[: MOST_KEYS - len(known.keys)])
            return
        if known is not None:
            self._drop(known)
        self._sets[new.members] = new
        of_source = self._sources.setdefault(new.source, {})
        of_source[new.members] = None
        if len(of_source) > self._most_of_source:
            self._drop_oldest(of_source)
        if len(self._sets) > self._most:
            self._drop_oldest(max(self._sources.values(), key=len))

    def _drop_oldest(self, of_source: dict[Members, None]) -> None:
        self._drop(self._sets[next(iter(of_source))])

    def _drop(self, one: _Set) -> None:
        del self._sets[one.members]
        of_source = self._sources[one.source]
        del of_source[one.members]
        if not of_source:
            del self._sources[one.source]

    def _expire(self, now: float) -> None:
        """Drop what is a week old; the time is proportional to what is dropped."""
        while self._sets:
            oldest = next(iter(self._sets.values()))
            if now - oldest.at <= KEPT:
                return
            self._drop(oldest)


def _fits(probe: Probe) -> bool:
    return 0 < len(probe.recipients) <= MOST_RECIPIENTS


def _some_inside(recipients: Members) -> Members:
    """Return some recipients, of which one at least is in each set that is refined.

    They are one more than those that may be outside. Most sets are ruled out by them.
    """
    outside = len(recipients) - ceil(CONTAINED * len(recipients))
    return frozenset(islice(recipients, outside + 1))


def _is_first(probe: Probe) -> bool:
    """Return whether a probe can be the first set of a chain."""
    return probe.refused and len(probe.recipients) >= LEAST


def _depth(one: _Set) -> tuple[int, int]:
    """Return the order of sets by their depth; among equal ones the smallest is the deepest."""
    return one.depth, -len(one.members)


def _first(probe: Probe) -> _Set:
    """Return the set that begins a chain."""
    keys = set(probe.keys[:MOST_KEYS])
    return _Set(probe.at, probe.recipients, probe.source, keys, probe.traps)


def _extended(probe: Probe, refined: list[_Set]) -> _Set:
    """Return the set of a refinement, with the facts of the chains that it extends."""
    deepest = max(refined, key=_depth)
    own = {
        key: max(one.own.get(key, _NOTHING) for one in refined)
        for key in [*probe.keys, *deepest.own][:MOST_KEYS]
    }
    for key in probe.keys[:MOST_KEYS]:
        own[key] = _Own(own[key].refinements + 1, own[key].refused or probe.refused)
    return _Set(
        probe.at,
        probe.recipients,
        probe.source,
        {*[*probe.keys, *deepest.keys][:MOST_KEYS]},
        deepest.traps,
        deepest.depth + 1,
        deepest.refused or probe.refused,
        own,
    )


def _rest(passed: _Set, whole: _Set) -> _Set:
    """Return the recipients that are suspicious because the others have passed."""
    passed.members = whole.members - passed.members
    return passed


def _count_singles(probe: Probe, refined: list[_Set]) -> tuple[str, ...]:
    """Record a single recipient; return the clusters that have asked for too many of one set."""
    (recipient,) = probe.recipients
    flagged: dict[str, None] = {}
    for one in refined:
        for key in one.keys.intersection(probe.keys):
            asked = one.singles.setdefault(key, {})
            was_refused = asked.pop(recipient, (0.0, False))[1]
            asked[recipient] = probe.at, probe.refused or was_refused
            if len(asked) > MOST_SINGLES:
                del asked[next(iter(asked))]
            if _are_too_many(asked, probe.at):
                flagged[key] = None
    return tuple(flagged)


def _are_too_many(asked: Mapping[int, tuple[float, bool]], now: float) -> bool:
    recent = [refused for at, refused in asked.values() if now - at <= DAY]
    return len(recent) >= SINGLES and any(recent)


def _judge(probe: Probe, found: _Set, singles: tuple[str, ...]) -> Finding | None:
    chained = (key for key in probe.keys[:MOST_KEYS] if _is_flagged(found.own[key]))
    keys = tuple(dict.fromkeys((*chained, *singles)))
    is_exposed = (found.depth >= CHAIN and found.refused) or bool(keys)
    return Finding(found.traps, keys, found.depth) if is_exposed else None


def _is_flagged(own: _Own) -> bool:
    return own.refinements >= CHAIN and own.refused
