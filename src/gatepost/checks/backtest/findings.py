"""The findings of a back-test, with exact confidence intervals."""

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from gatepost.checks.backtest.bounded import Tally
from gatepost.checks.backtest.evidence import STRONG, Evidence, Touched
from gatepost.checks.backtest.rules import Hit, Rule
from gatepost.importers.reading import Counts
from gatepost.importers.transaction import Ending, Transaction, Verdict
from gatepost.traps.intervals import Interval, clopper_pearson
from gatepost.traps.verdicts import Treatment

MOST_EXAMPLES = 20

_REFUSING = frozenset({Treatment.REFUSE_ALL, Treatment.REFUSE_ALL_AFTER_CONTENT})


class LogTotals(msgspec.Struct):
    """The transactions of the period, by what happened to them."""

    transactions: int = 0
    accepted: int = 0
    refused_by_content: int = 0
    without_accepted: int = 0
    own: int = 0
    recipients: int = 0
    unknown: int = 0


class RuleTotals(msgspec.Struct):
    """The effect of one rule.

    `recipients` are the traps and unknown recipients of its hits. `refused`, `recipient_only` and
    `marked` count only messages that were accepted. `wrong` has the number of those with each kind
    of evidence, `strong` those with strong evidence.
    """

    hits: int = 0
    recipients: int = 0
    refused: int = 0
    recipient_only: int = 0
    marked: int = 0
    spam: int = 0
    wrong: dict[str, int] = msgspec.field(default_factory=dict)
    strong: int = 0

    @property
    def touched(self) -> int:
        """The accepted messages that the rule would refuse or mark."""
        return self.refused + self.recipient_only + self.marked


class Example(msgspec.Struct, frozen=True):
    """A message that a rule would touch although there is evidence that it was legitimate."""

    time: float
    sender: str
    client: str
    rules: list[str]
    evidence: list[str]


class Collector:
    """Collects what a back-test finds."""

    def __init__(self, network: Callable[[str], str]) -> None:
        self.totals = LogTotals()
        self.rules = {rule: RuleTotals() for rule in Rule}
        self.networks, self.senders, self.replies = Tally(), Tally(), Tally()
        self.first = self.last = 0.0
        self._network = network
        self._touched: list[Touched] = []

    def count(self, transaction: Transaction, unknown: int) -> None:
        """Count a transaction of the period."""
        totals = self.totals
        self.first = self.first or transaction.time
        self.last = max(self.last, transaction.ended)
        if transaction.is_trusted:
            totals.own += 1
            return
        totals.transactions += 1
        totals.recipients += len(transaction.recipients) + transaction.more_recipients
        totals.unknown += unknown
        if transaction.ending is Ending.ACCEPTED:
            totals.accepted += 1
        elif transaction.verdict is Verdict.SPAM:
            totals.refused_by_content += 1
        else:
            totals.without_accepted += 1

    def hit(self, transaction: Transaction, hits: Sequence[Hit]) -> None:
        """Count the hits of a transaction."""
        is_accepted = transaction.ending is Ending.ACCEPTED
        for hit in hits:
            rule = self.rules[hit.rule]
            rule.hits += 1
            rule.recipients += hit.recipients
            if is_accepted:
                rule.refused += hit.treatment in _REFUSING
                rule.marked += hit.treatment is Treatment.MARKED_AFTER_CONTENT
                rule.recipient_only += hit.treatment not in {
                    *_REFUSING,
                    Treatment.MARKED_AFTER_CONTENT,
                }
                rule.spam += transaction.verdict is Verdict.SPAM
        if hits:
            self.networks.add(self._network(transaction.client))
            self.senders.add(transaction.sender.lower())
            self.replies.add(_reply(transaction))

    def touch(self, touched: Touched) -> None:
        """Keep an accepted message until the end of the log."""
        self._touched.append(touched)

    def finish(self) -> list[Example]:
        """Count the evidence; return examples of messages with strong evidence."""
        for one in self._touched:
            for rule in one.rules:
                totals = self.rules[rule]
                for evidence in one.evidence:
                    totals.wrong[evidence.value] = totals.wrong.get(evidence.value, 0) + 1
                totals.strong += bool(one.evidence & STRONG)
        strong = [one for one in self._touched if one.evidence & STRONG]
        return [_example(one) for one in strong[:MOST_EXAMPLES]]


class Findings(msgspec.Struct):
    """Everything that a back-test found."""

    since: float
    until: float
    log: Counts
    totals: LogTotals
    rules: Mapping[str, RuleTotals]
    examples: Sequence[Example]
    networks: Sequence[tuple[str, int]]
    senders: Sequence[tuple[str, int]]
    replies: Sequence[tuple[str, int]]
    without_evidence: int = 0

    def share(self, events: int) -> Interval:
        """Return the 95 % interval for the share of accepted messages."""
        return clopper_pearson(events, max(self.totals.accepted, events))


# Addresses and networks in a reply, so that equal replies are counted together.
_PARTICULARS = re.compile(r"<[^>]{0,400}>|\[[^\]]{0,400}\]")


def _reply(transaction: Transaction) -> str:
    """Return the reply that the server gave, without addresses: the first one with a text."""
    if transaction.ending is Ending.ACCEPTED:
        return "accepted"
    refused = (one.reply for one in transaction.recipients.values() if one.reply)
    text = transaction.reply or next(refused, "") or transaction.ending.value
    return _PARTICULARS.sub("<>", text)[:60]


def _example(touched: Touched) -> Example:
    order = list(Evidence)
    return Example(
        touched.time,
        touched.sender,
        touched.client,
        [rule.value for rule in touched.rules],
        [one.value for one in sorted(touched.evidence, key=order.index)],
    )
