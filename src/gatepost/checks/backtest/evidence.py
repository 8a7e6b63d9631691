"""The evidence that a message which a rule would touch was legitimate.

Only messages that the server of the log accepted are examined: the others were refused anyway. Each
kind of evidence is counted by itself, because they differ in strength. A content filter passes spam
too; a domain that still had mail accepted a day later, or that our users wrote to, is seldom one of
a spammer.

The evidence may come later in the log, so messages wait for it: the newest ones of each sender and
of each domain.
"""

from collections.abc import Sequence
from enum import Enum

import msgspec

from gatepost.checks.backtest.rules import Rule
from gatepost.checks.backtest.standing import Correspondents, domain_of
from gatepost.checks.bounded import Bounded
from gatepost.importers.transaction import Ending, Transaction, Verdict
from gatepost.traps.memory import DAY
from gatepost.traps.organisations import organisational


class Evidence(Enum):
    """The kinds of evidence; reports show the value."""

    CONTENT = "passed by the content filter"
    LATER_MAIL = "mail of the domain accepted a day later"
    CORRESPONDENT = "our users wrote to the sender"


STRONG = frozenset({Evidence.LATER_MAIL, Evidence.CORRESPONDENT})


class Touched(msgspec.Struct):
    """An accepted message that rules would touch, and the evidence for it."""

    time: float
    sender: str
    client: str
    rules: tuple[Rule, ...]
    evidence: set[Evidence]


class Witnesses:
    """Finds evidence in the transactions of a log, before and after a message."""

    def __init__(self, correspondents: Correspondents) -> None:
        self._by_sender: Bounded[str, list[Touched]] = Bounded()
        self._by_domain: Bounded[str, list[Touched]] = Bounded()
        self._correspondents = correspondents

    def touched(self, transaction: Transaction, rules: Sequence[Rule]) -> Touched:
        """Start to look for evidence for a message."""
        sender = transaction.sender.lower()
        found = Touched(transaction.time, sender, transaction.client, tuple(rules), set())
        if transaction.verdict is Verdict.CLEAN:
            found.evidence.add(Evidence.CONTENT)
        if sender in self._correspondents:
            found.evidence.add(Evidence.CORRESPONDENT)
        _append(self._by_sender, sender, found)
        _append(self._by_domain, organisational(domain_of(sender)), found)
        return found

    def see(self, transaction: Transaction, *, is_hit: bool) -> None:
        """Take a transaction as evidence; one that a rule would touch is none."""
        if transaction.is_trusted:
            for one in transaction.recipients:
                if one in self._correspondents:
                    _mark(self._by_sender.get(one), Evidence.CORRESPONDENT)
        elif transaction.ending is Ending.ACCEPTED and not is_hit and transaction.sender:
            waiting = self._by_domain.get(organisational(domain_of(transaction.sender))) or []
            is_spam = transaction.verdict is Verdict.SPAM
            older = (
                [] if is_spam else [one for one in waiting if transaction.time - one.time >= DAY]
            )
            _mark(older, Evidence.LATER_MAIL)


def _append(table: Bounded[str, list[Touched]], key: str, found: Touched) -> None:
    table.set(key, [*(table.get(key) or [])[-_MOST_OF_ONE:], found])


# Messages of one sender or domain that wait; the newest are kept.
_MOST_OF_ONE = 100


def _mark(waiting: list[Touched] | None, evidence: Evidence) -> None:
    for one in waiting or ():
        one.evidence.add(evidence)
