"""Read the records of a period once, and count what traps did.

Limits: memory does not grow with the ledger: `gatepost.checks.bounded` and `entries` have limits,
and of known senders only the newest are kept.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterable

from gatepost.checks.bounded import Tally
from gatepost.checks.trap_report.entries import Entries
from gatepost.checks.trap_report.findings import (
    Findings,
    KnownSender,
    Marked,
    Share,
    Stopped,
    Unused,
    share,
)
from gatepost.checks.trap_report.judging import (
    MARKED,
    MARKS,
    Judgement,
    Outcome,
    judge,
    points_of_others,
    refuses,
)
from gatepost.ledger.keys import network_of
from gatepost.ledger.records import Transaction, Trap
from gatepost.lists.entry import ListEntry
from gatepost.traps.verdicts import TrapClass

# The outcomes that a known sender should not have had.
_EFFECTS = frozenset({Outcome.REFUSED, Outcome.HELD, Outcome.SHADOWED, Outcome.RECIPIENT})
_MESSAGES = ("accepted", "refused", "deferred")
# The field of `Marked` for the reason of a refusal.
_BY_REASON = {"score": "by_score", "trap-memory": "by_memory"}


class TrapReport:
    """The counts of a period; `threshold` is that of `score`, `top` the length of lists."""

    def __init__(self, threshold: float = 0.0, top: int = 10) -> None:
        self._threshold = threshold
        self._top = top
        self._results: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._others: Counter[str] = Counter()
        self._refused, self._shadow = Stopped(), Stopped()
        self._classes: dict[str, Stopped] = {}
        self._marks: dict[str, Marked] = {}
        self._entries = Entries()
        self._networks = Tally()
        self._known_senders: deque[KnownSender] = deque(maxlen=top)
        self._known = self._known_refused = self._shadow_hits = 0

    def add(self, record: Transaction) -> None:
        """Count a transaction."""
        self._results[record.result] += 1
        for one in record.results:
            if one.name in MARKS and one.value == MARKED:
                marked = self._marks.setdefault(one.name, Marked())
                count_mark(marked, record, self._threshold)
        if record.traps:
            self._add_hits(record, judge(record, self._threshold))

    def _add_hits(self, record: Transaction, found: Judgement) -> None:
        self._outcomes[found.outcome.value] += 1
        self._shadow_hits += any(one.shadow for one in record.traps)
        facts = {"others": bool(found.others), "known": bool(found.standing)}
        if found.stopped:
            self._refused.add(found.users, **facts)
            self._others.update(found.others if found.users else ())
            self._add_classes(record, found)
        elif found.would_stop:
            self._shadow.add(found.users, **facts)
        self._add_entries(record, found)
        if found.standing and found.outcome in _EFFECTS:
            self._known += 1
            self._known_refused += found.stopped
            self._known_senders.append(_known_sender(record, found))

    def _add_classes(self, record: Transaction, found: Judgement) -> None:
        traps = filter(refuses, record.traps)
        for name in {one.trap_class or TrapClass.PRISTINE.value for one in traps}:
            counts = self._classes.setdefault(name, Stopped())
            counts.add(found.users, others=bool(found.others), known=bool(found.standing))

    def _add_entries(self, record: Transaction, found: Judgement) -> None:
        network = network_of(record.client.address)
        self._networks.add(network or record.client.address)
        refused: set[tuple[str, str]] = set()
        for trap in record.traps:
            entry, key = self._entries.hit(trap, network), (trap.list, trap.entry)
            if entry is None or key in refused or not found.stopped or not refuses(trap):
                continue
            refused.add(key)
            entry.refused += 1
            entry.with_users += found.users > 0
            entry.alone += found.alone

    def findings(self, since: float, until: float, entries: Iterable[ListEntry] = ()) -> Findings:
        """Return what was found; `entries` are those of the configured lists."""
        return Findings(
            since,
            until,
            self._threshold,
            dict(self._results),
            self._refused,
            self._shadow,
            self._shadow_hits,
            self._shares(),
            {
                one.value: self._outcomes[one.value]
                for one in Outcome
                if one.value in self._outcomes
            },
            dict(sorted(self._classes.items(), key=lambda item: -item[1].messages)),
            dict(self._others.most_common(self._top)),
            self._marks,
            self._entries.top(self._top),
            len(self._entries),
            self._networks.top(self._top),
            self._known,
            self._known_refused,
            list(reversed(self._known_senders)),
            unused(entries, self._entries.texts(), self._top, incomplete=self._entries.is_full),
        )

    def _shares(self) -> dict[str, Share]:
        messages = sum(self._results[one] for one in _MESSAGES)
        refused, found = self._results["refused"], self._refused
        return {
            "refused_of_all": share(found.messages, messages),
            "refused_of_refused": share(found.messages, refused),
            "alone_of_all": share(found.alone, messages),
            "alone_of_refused": share(found.alone, refused),
            "known_of_refused_by_traps": share(self._known_refused, found.messages),
            "shadow_of_all": share(self._shadow.messages, messages),
            "known_of_shadow": share(self._shadow.known, self._shadow.messages),
        }


def count_mark(marked: Marked, record: Transaction, threshold: float) -> None:
    """Count what became of a marked message."""
    field = record.result if record.result != "refused" else _refusal(record)
    marked.messages += 1
    setattr(marked, field, getattr(marked, field) + 1)
    if field == "by_score":
        marked.needed += points_of_others(record) < threshold


def _refusal(record: Transaction) -> str:
    return _BY_REASON.get(record.reason, "otherwise_refused")


def _known_sender(record: Transaction, found: Judgement) -> KnownSender:
    trap = _cause(record.traps)
    return KnownSender(
        record.time,
        record.ref,
        record.sender,
        found.standing,
        trap.address,
        trap.list,
        trap.line,
        found.outcome.value,
    )


def _cause(traps: Iterable[Trap]) -> Trap:
    """Return the first trap that refuses the message, or else the first."""
    found = list(traps)
    return next((one for one in found if refuses(one)), found[0])


def unused(
    entries: Iterable[ListEntry], hit: Collection[str], top: int, *, incomplete: bool
) -> Unused:
    """Return the entries without a hit."""
    total = count = 0
    first: list[str] = []
    for entry in entries:
        total += 1
        if entry.text not in hit:
            count += 1
            if len(first) < top:
                first.append(f"{entry.source}:{entry.line} {entry.text}")
    return Unused(total, count, first, incomplete)
