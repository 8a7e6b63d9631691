"""Compare what was decided then with what a replay decides, and collect the differences.

A message that a rule about its content refused then, and that is refused earlier now, only gets
another reply.
"""

from collections.abc import Callable
from functools import partial
from pathlib import PurePath

from gatepost.checks.replay import doubts
from gatepost.checks.replay.findings import (
    Collector,
    Example,
    Kind,
    Subject,
    of_connection_record,
    of_transaction_record,
)
from gatepost.checks.replay.outcome import (
    Outcome,
    of_connection,
    of_content,
    of_recipient,
    of_transaction,
)
from gatepost.checks.replay.player import Played
from gatepost.checks.replay.uses import Uses
from gatepost.ledger.records import Connection, Transaction


class Comparison:
    """Adds what differs to `collector`; `uses` are those of the session that was played."""

    def __init__(self, collector: Collector, uses: Uses) -> None:
        self._collector = collector
        self._uses = uses

    def connection(self, record: Connection, played: Played) -> None:
        """Compare a connection without a transaction."""
        old, new = of_connection(record), played.outcome
        example = partial(of_connection_record, record, old.words or "accepted", new)
        self._difference("connection", old, old, played, example)

    def transaction(self, tx: Transaction, played: Played) -> None:
        """Compare a transaction and its recipients."""
        counts = self._collector.counts
        counts.transactions += 1
        counts.content += played.content
        counts.unlisted += max(tx.recipients_count - len(tx.recipients), 0)
        hashed = doubts.is_hashed(tx)
        counts.hashed += hashed
        old, content = of_transaction(tx), of_content(tx)
        final = content if old.passes else old
        example = partial(
            of_transaction_record, tx, final.words or tx.result, played.outcome, _trap(played)
        )
        changed = self._difference("message", old, final, played, example, hashed=hashed)
        changed |= self._recipients(tx, played, hashed=hashed)
        counts.unchanged += not changed

    def _recipients(self, tx: Transaction, played: Played, *, hashed: bool) -> bool:
        """Compare the recipients that both sides have named; return whether any has changed."""
        named = [one for one in tx.recipients if not one.added]
        changed = False
        for rcpt, new in zip(named, played.recipients, strict=False):
            old = of_recipient(tx, rcpt)
            self._collector.counts.recipients += 1
            example = partial(
                of_transaction_record, tx, old.words or "accepted", new, to=rcpt.address
            )
            changed |= self._difference("recipient", old, old, Played(new), example, hashed=hashed)
        return changed

    def _difference(
        self,
        subject: Subject,
        old: Outcome,
        final: Outcome,
        played: Played,
        example: Callable[[], Example],
        *,
        hashed: bool = False,
    ) -> bool:
        """Add a difference, or count why it is not certain; return whether there is one."""
        kind = kind_of(old, final, played.outcome)
        if kind is None:
            return False
        rule = old if kind == "accepted" else played.outcome
        why = self._doubt(kind, final, played.outcome)
        if hashed and not why:
            why = doubts.of_hashes(rule, played.traps)
        if why:
            self._collector.doubt(why)
        else:
            open_ = kind == "accepted" and doubts.is_open(old, self._uses)
            self._collector.add(kind, subject, rule, example(), is_open=open_)
        return True

    def _doubt(self, kind: Kind, old: Outcome, new: Outcome) -> str:
        if kind == "refused":
            return doubts.of_refusal(new, self._uses)
        if kind == "accepted":
            return doubts.of_acceptance(old, self._uses)
        return doubts.of_reply(old, new, self._uses)


def kind_of(old: Outcome, final: Outcome, new: Outcome) -> Kind | None:
    """Return the kind of a difference; `final` is the old outcome with that of the content."""
    if new.passes:
        return None if old.passes else "accepted"
    if final.passes:
        return "refused"
    return None if final.words == new.words else "reply"


def _trap(played: Played) -> str:
    """Return the entry that refused a message, "" if no trap did."""
    if not played.traps or played.outcome.reason != "trap":
        return ""
    trap = played.traps[0]
    return f"{trap.entry} in {PurePath(trap.list).name}, line {trap.line}"
