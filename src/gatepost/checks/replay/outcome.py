"""The decision about a recorded session before its content.

A replay has no content. So what a rule about content decided counts as passed here: the session got
as far as its content. The same holds for a client that gave up by itself.
"""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple, TypeAlias

from gatepost.ledger.records import Answer, Connection, RecipientRecord, Transaction
from gatepost.ledger.words.wording import code, without_reference

Verdict: TypeAlias = Literal["accepted", "refused", "deferred"]
# Hooks that decide without content.
_BEFORE_CONTENT = frozenset({"connect", "helo", "mail", "rcpt", "data"})


class Outcome(NamedTuple):
    """A verdict, the author and the reason of it, and the reply with its reference.

    `hook` is the hook that decided, "" for none. "accepted" means as far as the content.
    """

    verdict: Verdict
    by: str = ""
    reason: str = ""
    reply: str = ""
    hook: str = ""

    @property
    def passes(self) -> bool:
        """Return whether nothing was refused."""
        return self.verdict == "accepted"

    @property
    def words(self) -> str:
        """The reply without its reference."""
        return without_reference(self.reply)


PASSED = Outcome("accepted")


def verdict_of(reply: str) -> Verdict:
    """Return the verdict that a reply expresses."""
    first = code(reply)
    return "refused" if first >= 500 else "deferred" if first >= 400 else "accepted"


def refusals(answers: Iterable[Answer]) -> Iterator[Answer]:
    """Yield the answers that refused or deferred and had an effect."""
    return (one for one in answers if one.verdict != "accept" and not one.shadow)


def of_reply(reply: str, answers: Iterable[Answer], about: str = "") -> Outcome:
    """Return the outcome of a reply, with the author and reason among the answers that gave it.

    Of several, the one that is about `about` counts.
    """
    verdict = verdict_of(reply)
    if verdict == "accepted":
        return PASSED
    found = [one for one in refusals(answers) if one.reply == reply]
    same = [one for one in found if one.about == about] or found
    if not same:
        return Outcome(verdict, "protocol", "protocol-error", reply)
    answer = same[-1]
    return Outcome(verdict, answer.by, answer.reason, reply, answer.hook)


def of_connection(record: Connection) -> Outcome:
    """Return the outcome of a connection without a transaction."""
    for answer in refusals(record.answers):
        if answer.hook == "connect" or (answer.hook == "helo" and not record.client.helo):
            return of_reply(answer.reply, [answer])
    return PASSED


def of_recipient(tx: Transaction, rcpt: RecipientRecord) -> Outcome:
    """Return the outcome of a recipient at RCPT."""
    found = of_reply(rcpt.reply, tx.answers, rcpt.address)
    at_rcpt = found.hook == "rcpt" or (found.hook == "" and not tx.size)
    return found if found.passes or at_rcpt else PASSED


def of_transaction(tx: Transaction) -> Outcome:
    """Return the outcome of a transaction.

    If every recipient was refused, this is the outcome of the first of them.
    """
    found = of_reply(tx.reply, tx.answers)
    decided = not found.passes and found.hook in _BEFORE_CONTENT
    if decided and found.hook != "rcpt":
        return found
    outcomes = [of_recipient(tx, one) for one in tx.recipients]
    ended_early = decided or tx.result == "abandoned"
    if ended_early and outcomes and not any(one.passes for one in outcomes):
        return outcomes[0]
    return found if decided else PASSED


def of_content(tx: Transaction) -> Outcome:
    """Return the outcome of a message at any stage, that of its content included."""
    return of_reply(tx.reply, tx.answers) if tx.result in ("refused", "deferred") else PASSED
