"""The facts about traps in the record of one transaction.

A user is a recipient that was accepted at RCPT and is no trap. Another rule is a plugin in shadow
mode that would have refused the message, or `score`, if the points of other plugins reach its
threshold.

Limits: plugins are not asked about a message after the trap rule has refused it at DATA. So what
rules about content would have decided is not known, and the number of messages that traps alone
refused is an upper limit. Opinions at connect are in other records and do not count.
"""

from collections import Counter
from enum import Enum
from typing import Final, TypeAlias

from gatepost.ledger.extract import AnswerExtract, TransactionExtract, TrapExtract
from gatepost.ledger.records import Answer, Transaction, Trap
from gatepost.model.structs import Frozen
from gatepost.traps.verdicts import Treatment

# A record, or what the ledger process has of it.
AnyTransaction: TypeAlias = Transaction | TransactionExtract

CORE: Final = "gatepost"
TRAP, TRAP_RECIPIENT = "trap", "trap-recipient"
KNOWN: Final = frozenset({"acquainted", "trusted"})
# The results that mark a message because of traps; their points are not those of another rule.
MARKS: Final = ("trap_memory", "traps")
MARKED: Final = "marked"

# A record without a treatment is older than the table of treatments.
_REFUSING = frozenset({"", Treatment.REFUSE_ALL.value, Treatment.REFUSE_ALL_AFTER_CONTENT.value})
_OF_THE_MESSAGE = frozenset({"data", "headers", "message", "deliver"})


class Outcome(Enum):
    """The outcomes of a transaction with a trap."""

    REFUSED = "refused because of a trap"
    HELD = "accepted and held"
    SHADOWED = "accepted in shadow mode"
    RECIPIENT = "only the trap was refused"
    OTHERS = "refused or deferred for another reason"
    ABANDONED = "ended without a message"
    NO_EFFECT = "accepted, the trap had no effect"


class Judgement(Frozen, frozen=True):
    """The facts about one transaction.

    `stopped` is whether the whole message was refused because of a trap, `would_stop` whether
    shadow mode prevented that. `users` is the number of users among its recipients. `others` are
    the rules that would have refused it too. `standing` is that of a known sender, "" for others.
    """

    outcome: Outcome
    stopped: bool
    would_stop: bool
    users: int
    others: frozenset[str]
    standing: str

    @property
    def alone(self) -> bool:
        """True if traps alone kept the message from a user."""
        return self.users > 0 and not self.others


def judge(record: Transaction, threshold: float) -> Judgement:
    """Return the facts about a record with a trap; `threshold` is that of `score`, 0 for none."""
    outcome = outcome_of(record)
    would_stop = any(one.shadow and one.treatment in _REFUSING for one in record.traps) and (
        record.result == "accepted" or record.hook in _OF_THE_MESSAGE
    )
    others = set(_opinions(record))
    if 0 < threshold <= points_of_others(record):
        others.add("score")
    if record.result == "refused" and outcome is Outcome.OTHERS:
        others.add(record.by)
    return Judgement(
        outcome,
        outcome is Outcome.REFUSED,
        would_stop,
        users_of(record),
        frozenset(others),
        standing_of(record),
    )


def outcome_of(record: AnyTransaction) -> Outcome:
    """Return what happened to a transaction with a trap."""
    if record.result == "accepted":
        return _accepted(record)
    if is_core(record, TRAP):
        return Outcome.REFUSED
    if is_core(record, TRAP_RECIPIENT):
        return Outcome.RECIPIENT
    return Outcome.ABANDONED if record.result == "abandoned" else Outcome.OTHERS


def users_of(record: AnyTransaction) -> int:
    """Return the number of accepted recipients that are no traps; accepted ones are first."""
    accepted = record.recipients[: max(record.recipients_count - record.refused_count, 0)]
    traps = {one.address for one in record.traps}
    return sum(one.address not in traps for one in accepted)


def refuses(trap: Trap | TrapExtract) -> bool:
    """Return whether a trap refuses the whole message."""
    return trap.treatment in _REFUSING and not trap.shadow


def standing_of(record: AnyTransaction) -> str:
    """Return the standing of a known sender, "" for others."""
    standing = result_of(record, "standing")
    return standing if standing in KNOWN else ""


def result_of(record: AnyTransaction, name: str) -> str:
    """Return the value of the first result with a name, "" without one."""
    return next((one.value for one in record.results if one.name == name), "")


def points_of_others(record: Transaction) -> float:
    """Return the points that plugins gave for other reasons than traps."""
    return record.score - sum(one.score for one in record.results if one.name in MARKS)


def is_core(record: AnyTransaction, reason: str) -> bool:
    """Return whether the core decided, for this reason."""
    return record.by == CORE and record.reason == reason


def _accepted(record: AnyTransaction) -> Outcome:
    if record.shadowed:
        return Outcome.SHADOWED
    if any(_is_recipient_refusal(one) for one in record.answers):
        return Outcome.RECIPIENT
    in_force = any(one.treatment and refuses(one) for one in record.traps)
    return Outcome.HELD if in_force else Outcome.NO_EFFECT


def _is_recipient_refusal(answer: Answer | AnswerExtract) -> bool:
    return answer.by == CORE and answer.reason == TRAP_RECIPIENT


def _opinions(record: Transaction) -> list[str]:
    """Return the plugins in shadow mode that would have refused the message for all recipients."""
    denied = [one for one in record.answers if one.shadow and one.verdict == "deny"]
    of_rcpt = Counter(one.by for one in denied if one.hook == "rcpt")
    accepted = max(record.recipients_count - record.refused_count, 1)
    return [one.by for one in denied if one.hook != "rcpt" or of_rcpt[one.by] >= accepted]
