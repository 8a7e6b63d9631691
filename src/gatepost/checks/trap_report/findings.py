"""The findings of the report on traps; `--json` prints them as they are."""

from collections.abc import Mapping, Sequence

import msgspec

from gatepost.traps.intervals import clopper_pearson


class Stopped(msgspec.Struct):
    """Messages that traps refused, or would have refused without shadow mode.

    `with_users` of them named a user, `users` is the number of these users. `others` of those with
    users would have been refused by another rule too, `alone` by no other. `known` are messages of
    known senders, with users or without.
    """

    messages: int = 0
    with_users: int = 0
    users: int = 0
    others: int = 0
    alone: int = 0
    known: int = 0

    def add(self, users: int, *, others: bool, known: bool) -> None:
        """Count a message with this number of users."""
        self.messages += 1
        self.with_users += users > 0
        self.users += users
        self.others += users > 0 and others
        self.alone += users > 0 and not others
        self.known += known


class Marked(msgspec.Struct):
    """The results of messages with a mark.

    `by_score` were refused by the plugin `score`, and `needed` of these would have passed without
    the points of the mark; without a threshold that is not known and 0. `by_memory` were refused by
    `trap_memory`.
    """

    messages: int = 0
    accepted: int = 0
    by_score: int = 0
    needed: int = 0
    by_memory: int = 0
    otherwise_refused: int = 0
    deferred: int = 0
    abandoned: int = 0


class EntryTotals(msgspec.Struct):
    """The hits of an entry of a list, or of a rule (line 0).

    `refused` are messages that were refused for it, `with_users` and `alone` are as in `Stopped`.
    `networks` is the number of networks of clients, at least.
    """

    list: str
    line: int
    entry: str
    trap_class: str
    hits: int = 0
    refused: int = 0
    with_users: int = 0
    alone: int = 0
    networks: int = 0


class KnownSender(msgspec.Struct, frozen=True):
    """A message of an acquainted or trusted sender with an effect of a trap: probably wrong.

    `time` is in seconds since 1970, `ref` the reference for `gatepost explain`. `trap` is the
    recipient, and the entry with its list and line. `outcome` is what became of the message.
    """

    time: float
    ref: str
    sender: str
    standing: str
    trap: str
    list: str
    line: int
    outcome: str


class Share(msgspec.Struct, frozen=True):
    """A share with its exact 95 % interval; without trials it is from 0 to 1."""

    events: int
    trials: int
    low: float
    high: float


class Unused(msgspec.Struct, frozen=True):
    """Entries of the configured lists without a hit: the first ones, and the number of all.

    `entries` is the number of entries of the lists. With `incomplete` too many entries were hit, so
    `count` may be too high.
    """

    entries: int = 0
    count: int = 0
    first: Sequence[str] = ()
    incomplete: bool = False


class Findings(msgspec.Struct):
    """The effects of traps between `since` and `until`, in seconds since 1970.

    `results` counts all transactions by their result, `outcomes` those with a trap. `threshold` is
    the number of points from which `score` refuses, 0 for none. `classes` are the refused messages
    by class of the trap; one with two classes counts in both. `other_rules` are the rules that
    would have refused the messages of `refused` too. `known` is the number of `known_senders`.
    `shadow_hits` are transactions with a trap in shadow mode, whatever became of them.
    """

    since: float
    until: float
    threshold: float
    results: Mapping[str, int]
    refused: Stopped
    shadow: Stopped
    shadow_hits: int
    shares: Mapping[str, Share]
    outcomes: Mapping[str, int]
    classes: Mapping[str, Stopped]
    other_rules: Mapping[str, int]
    marks: Mapping[str, Marked]
    entries: Sequence[EntryTotals]
    entries_count: int
    networks: Sequence[tuple[str, int]]
    known: int
    known_refused: int
    known_senders: Sequence[KnownSender]
    unused: Unused


def share(events: int, trials: int) -> Share:
    """Return a share with its interval."""
    low, high = clopper_pearson(events, trials)
    return Share(events, trials, low, high)
