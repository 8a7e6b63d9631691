"""The result of a replay: counts, groups of changes with examples, and what was not decided.

Limits: MAX_GROUPS groups of a kind, the others are counted in one of them; MAX_SENDERS senders of
a group are distinguished; MAX_EXAMPLES examples of a group. Memory does not grow with the ledger.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from gatepost.checks.replay.outcome import Outcome
from gatepost.checks.replay.uses import Uses
from gatepost.ledger.records import Connection, Transaction

MAX_GROUPS = 200
MAX_SENDERS = 10_000
MAX_EXAMPLES = 3
MAX_PROBLEMS = 5
# Characters of a problem.
MAX_PROBLEM = 200
# Recipients of an example.
_LISTED = 3

Kind: TypeAlias = Literal["refused", "accepted", "reply"]
Subject: TypeAlias = Literal["connection", "message", "recipient"]


class Example(msgspec.Struct, frozen=True):
    """One change. `ref` is the reference for `gatepost explain`, `time` seconds since 1970.

    `old` is what happened then, `new` what would happen now. `detail` is the entry of a trap list.
    """

    time: float
    ref: str
    client: str
    sender: str
    recipients: Sequence[str]
    recipients_count: int
    old: str
    new: str
    detail: str = ""


class Group(msgspec.Struct):
    """Changes of the same kind by the same rule.

    `by` and `reason` are those of the new refusal, or of the old one if it no longer applies.
    `senders` is the number of different senders, at most MAX_SENDERS; without a sender the client
    counts. `open` of the changes depend on plugins that could not decide.
    """

    subject: Subject
    by: str
    reason: str
    count: int = 0
    senders: int = 0
    open: int = 0
    examples: list[Example] = []


class Undecided(msgspec.Struct, frozen=True):
    """A number of changes that were not decided, and the reason."""

    why: str
    count: int


class Use(msgspec.Struct, frozen=True):
    """The number of uses of `what` by a plugin; `plugin` is "" if it is not known."""

    plugin: str
    what: str
    count: int


class Findings(msgspec.Struct):
    """The result.

    `since` and `until` are the times of the first and the last record. `content` messages got as
    far as their content; what rules about content decided then is kept. `hashed` have hashed
    addresses. `unlisted` recipients are counted in records but not in their lists. `left_out` are
    plugins that could not start. `invalid` records could not be played, `problems` has the first
    reasons. With `interrupted` the rest was not played.
    """

    since: float = 0.0
    until: float = 0.0
    sessions: int = 0
    transactions: int = 0
    recipients: int = 0
    unchanged: int = 0
    content: int = 0
    hashed: int = 0
    unlisted: int = 0
    refused: list[Group] = []
    accepted: list[Group] = []
    reply: list[Group] = []
    undecided: list[Undecided] = []
    uses: list[Use] = []
    left_out: list[str] = []
    invalid: int = 0
    problems: list[str] = []
    interrupted: bool = True


class Collector:
    """Collects changes; `findings` returns the result so far."""

    def __init__(self) -> None:
        self.counts = Findings()
        self._groups: dict[tuple[Kind, Subject, str, str], Group] = {}
        self._senders: dict[int, set[int]] = {}
        self._undecided: Counter[str] = Counter()

    def add(
        self,
        kind: Kind,
        subject: Subject,
        rule: Outcome,
        example: Example,
        *,
        is_open: bool = False,
    ) -> None:
        """Add a change; `rule` is the refusal that it is about, `is_open` counts in `open`."""
        group = self._group(kind, subject, rule)
        group.count += 1
        group.open += is_open
        if len(group.examples) < MAX_EXAMPLES:
            group.examples.append(example)
        senders = self._senders.setdefault(id(group), set())
        if len(senders) < MAX_SENDERS:
            senders.add(hash(example.sender.lower() or example.client))
        group.senders = len(senders)

    def _group(self, kind: Kind, subject: Subject, rule: Outcome) -> Group:
        key = (kind, subject, rule.by, rule.reason)
        if key not in self._groups and len(self._groups) >= MAX_GROUPS:
            key = (kind, subject, "others", "")
        return self._groups.setdefault(key, Group(*key[1:]))

    def doubt(self, why: str) -> None:
        """Count a change that was not decided."""
        if why not in self._undecided and len(self._undecided) >= MAX_GROUPS:
            why = "other causes"
        self._undecided[why] += 1

    def fail(self, problem: str) -> None:
        """Count a record that could not be played."""
        self.counts.invalid += 1
        if len(self.counts.problems) < MAX_PROBLEMS:
            self.counts.problems.append(problem[:MAX_PROBLEM])

    def findings(self, uses: Uses) -> Findings:
        """Return the result, the largest groups first."""
        return msgspec.structs.replace(
            self.counts,
            refused=self._largest("refused"),
            accepted=self._largest("accepted"),
            reply=self._largest("reply"),
            undecided=[Undecided(*one) for one in self._undecided.most_common()],
            uses=[Use(*one, count) for one, count in uses.all.most_common()],
            left_out=sorted(uses.unable),
        )

    def _largest(self, kind: Kind) -> list[Group]:
        found = [group for key, group in self._groups.items() if key[0] == kind]
        return sorted(found, key=lambda group: -group.count)


def of_transaction_record(
    tx: Transaction, old: str, new: Outcome, detail: str = "", *, to: str = ""
) -> Example:
    """Return the example of a transaction; with `to`, of this recipient."""
    recipients = [to] if to else [one.address for one in tx.recipients[:_LISTED]]
    count = 1 if to else tx.recipients_count
    client, shown = tx.client.address, new.words or new.verdict
    return Example(tx.time, tx.ref, client, tx.sender, recipients, count, old, shown, detail)


def of_connection_record(record: Connection, old: str, new: Outcome) -> Example:
    """Return the example of a connection without a transaction."""
    shown = new.words or new.verdict
    return Example(record.time, record.ref, record.client.address, "", (), 0, old, shown)
