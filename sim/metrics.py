"""The metrics: from the truth of sessions and the replies, never from the state of the server.

A message is *refused because of traps* if RCPT accepted at least one recipient, and the message was
refused at DATA or at its end: nothing else than the trap rules refuses there. It is *cut off* if it
was not accepted for another reason: the server ended the session after too many errors, or no
recipient was left. It is *marked* if it was accepted with a mark. Spam that is none of the three
reaches a user as any other mail does. Only messages that name a user count.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from gatepost.traps.intervals import Interval, clopper_pearson, garwood
from sim.sessions import Intent, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from sim.sessions import Answer, Envelope, Outcome, Session

_MEANT = frozenset({Intent.MEANT})


@dataclass
class Count:
    """Messages of one kind, and what became of them.

    `passed` are those that a baseline of block lists and content filter lets pass, `passed_refused`
    the part of them that the trap rules refuse.
    """

    messages: int = 0
    refused: int = 0
    cut: int = 0
    marked: int = 0
    passed: int = 0
    passed_refused: int = 0
    passed_marked: int = 0

    def add(self, other: Count) -> None:
        """Add the counts of another run."""
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def coverage(self) -> float:
        """The share that is refused."""
        return self.refused / self.messages if self.messages else 0.0

    @property
    def touched(self) -> float:
        """The share that is refused or marked."""
        return (self.refused + self.marked) / self.messages if self.messages else 0.0

    @property
    def undelivered(self) -> float:
        """The share that is refused or cut off."""
        return (self.refused + self.cut) / self.messages if self.messages else 0.0

    @property
    def stopped(self) -> float:
        """The share that reached no user without a mark."""
        stopped = self.refused + self.marked + self.cut
        return stopped / self.messages if self.messages else 0.0

    @property
    def marginal(self) -> float:
        """The share that is refused, of what the baseline lets pass."""
        return self.passed_refused / self.passed if self.passed else 0.0

    @property
    def marginal_touched(self) -> float:
        """The share that is refused or marked, of what the baseline lets pass."""
        return (self.passed_refused + self.passed_marked) / self.passed if self.passed else 0.0

    def interval(self) -> Interval:
        """Return the exact interval of the share that is refused."""
        return clopper_pearson(self.refused, self.messages)

    def per_100_000(self) -> Interval:
        """Return the exact interval (Garwood) of refused messages in 100,000."""
        if not self.messages:
            return Interval(0.0, float("inf"))
        low, high = garwood(self.refused)
        return Interval(low * 1e5 / self.messages, high * 1e5 / self.messages)


@dataclass
class Campaign:
    """A spam campaign: messages to users until the first refusal, and its times in seconds.

    `bait` are the traps and message identifiers that it named, `users` its messages to users.
    """

    first: float
    detected: float | None = None
    before: int = 0
    users: int = 0
    bait: set[str] = field(default_factory=set)

    @property
    def expected(self) -> float:
        """The share of messages to users after the first hit, in random order: t / (t + 1)."""
        return len(self.bait) / (len(self.bait) + 1)


@dataclass
class Metrics:
    """Everything that a run measures; runs can be added up.

    `spam` is by (actor, label), `legitimate` by (actor, label) and `standings` by standing.
    `tests` are the attempts of attackers that succeeded, of all.
    """

    spam: dict[tuple[str, str], Count] = field(default_factory=lambda: defaultdict(Count))
    legitimate: dict[tuple[str, str], Count] = field(default_factory=lambda: defaultdict(Count))
    standings: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    recipients: Count = field(default_factory=Count)
    tests: dict[tuple[str, str], Count] = field(default_factory=lambda: defaultdict(Count))
    campaigns: dict[str, Campaign] = field(default_factory=dict)
    sessions: int = 0
    seconds: float = 0.0

    def take(
        self,
        session: Session,
        outcome: Outcome,
        users: Collection[str],
        bait: Collection[str] = (),
    ) -> None:
        """Count the messages of a session; `users` exist now, `bait` are traps of campaigns."""
        self.sessions += 1
        actor = session.actor
        for one, answer in zip(session.messages, outcome, strict=True):
            if one.kind is Kind.SPAM:
                self._take_spam(actor, session.time, one, answer, users)
                self.campaigns[one.campaign or actor].bait.update(_named(one, bait))
            elif one.kind is Kind.LEGITIMATE:
                self._take_legitimate(actor, one, answer, users)
            elif is_test(one):
                _count(self.tests[actor, one.label], one, answer)

    def _take_spam(
        self, actor: str, time: float, one: Envelope, answer: Answer, users: Collection[str]
    ) -> None:
        to_users = any(rcpt.address in users for rcpt in one.recipients)
        campaign = self.campaigns.setdefault(one.campaign or actor, Campaign(time))
        refused = is_refused(answer)
        if campaign.detected is None and (refused or answer.marked):
            campaign.detected = time
        elif campaign.detected is None and to_users and answer.is_accepted:
            campaign.before += 1
        if to_users:
            campaign.users += 1
            _count(self.spam[actor, one.label], one, answer)

    def _take_legitimate(
        self, actor: str, one: Envelope, answer: Answer, users: Collection[str]
    ) -> None:
        meant = [rcpt.intent in _MEANT and rcpt.address in users for rcpt in one.recipients]
        if one.probe or not any(meant):
            return
        if is_test(one):
            _count(self.tests[actor, one.label], one, answer)
            return
        _count(self.legitimate[actor, one.label], one, answer)
        if one.standing:
            _count(self.standings[one.standing], one, answer)
        self.recipients.messages += sum(meant)
        lost = [code != 250 for code, one in zip(answer.recipients, meant, strict=True) if one]
        self.recipients.refused += sum(lost) if answer.is_accepted else len(lost)

    def add(self, other: Metrics) -> None:
        """Add another run; its campaigns get other names."""
        for name in ("spam", "legitimate", "standings", "tests"):
            mine, theirs = getattr(self, name), getattr(other, name)
            for key, count in theirs.items():
                mine[key].add(count)
        self.recipients.add(other.recipients)
        run = f"run {len(self.campaigns)}/"
        self.campaigns |= {run + name: one for name, one in other.campaigns.items()}
        self.sessions += other.sessions
        self.seconds += other.seconds

    def spam_of(self, actor: str, label: str | None = None) -> Count:
        """Return the spam of an actor, of one label or of all."""
        return total(
            one
            for (name, part), one in self.spam.items()
            if name == actor and label in (None, part)
        )

    def all_spam(self) -> Count:
        """Return all spam to users."""
        return total(self.spam.values())

    def all_legitimate(self) -> Count:
        """Return all legitimate messages to users."""
        return total(self.legitimate.values())

    def expected(self, actor: str) -> float:
        """Return the coverage of a memory that has a campaign after its first hit: t / (t + 1).

        The mean of all campaigns of an actor, by their messages to users.
        """
        mine = self._campaigns_of(actor)
        users = sum(one.users for one in mine)
        return sum(one.users * one.expected for one in mine) / users if users else 0.0

    def _campaigns_of(self, actor: str) -> list[Campaign]:
        return [one for name, one in self.campaigns.items() if f"{actor}/" in name]

    def detection(self, actor: str) -> Detection:
        """Return how soon the campaigns of an actor were detected."""
        mine = self._campaigns_of(actor)
        found = [one for one in mine if one.detected is not None]
        before = sorted(one.before for one in mine)
        times = [one.detected - one.first for one in found if one.detected is not None]
        return Detection(
            len(mine),
            len(found),
            median(before) if before else 0.0,
            before[int(0.9 * (len(before) - 1))] if before else 0,
            median(times) if times else 0.0,
        )


@dataclass
class Detection:
    """Campaigns, those that were detected, messages to users before that, seconds until then."""

    campaigns: int
    detected: int
    before: float
    before_90: int
    seconds: float


@dataclass
class Series:
    """The runs of one configuration, one for each seed."""

    runs: list[Metrics] = field(default_factory=list)

    @property
    def pooled(self) -> Metrics:
        """All runs added up."""
        found = Metrics()
        for one in self.runs:
            found.add(one)
        return found

    def shares(self, actor: str, label: str, share: Callable[[Count], float]) -> list[float]:
        """Return a share of an actor's spam in each run that has any, the smallest first."""
        counts = (one.spam[actor, label] for one in self.runs if (actor, label) in one.spam)
        return sorted(share(one) for one in counts if one.messages)


def total(counts: Iterable[Count]) -> Count:
    """Return the sum of counts."""
    found = Count()
    for one in counts:
        found.add(one)
    return found


def is_refused(answer: Answer) -> bool:
    """Return whether the message was refused although RCPT accepted a recipient."""
    return 250 in answer.recipients and max(answer.data, answer.end) >= 500


def _named(one: Envelope, bait: Collection[str]) -> Iterable[str]:
    return (rcpt.address for rcpt in one.recipients if rcpt.address in bait)


def is_test(one: Envelope) -> bool:
    """Return whether a message decides about the attempt of an attacker."""
    return one.label.startswith("test")


def _count(count: Count, one: Envelope, answer: Answer) -> None:
    passed = not (one.listed or one.facts.looks_bad)
    refused = is_refused(answer)
    count.cut += not (answer.is_accepted or refused)
    count.messages += 1
    count.refused += refused
    count.marked += answer.marked
    count.passed += passed
    count.passed_refused += passed and refused
    count.passed_marked += passed and answer.marked
