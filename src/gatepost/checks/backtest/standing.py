"""The standing of a sender, as far as a log shows it.

A sender is trusted if one of our users or programs wrote to it before. It is acquainted if its
domain had mail accepted at least 7 days before, and none that a content filter took for spam. A log
seldom has the results of SPF and DKIM. Without them the domain counts together with the network it
came from, so that a forged domain has no standing.
"""

from typing import NamedTuple

from gatepost.checks.bounded import Bounded
from gatepost.importers.transaction import Ending, Status, Transaction, Verdict
from gatepost.traps.memory import DAY
from gatepost.traps.organisations import organisational
from gatepost.traps.verdicts import Standing

ACQUAINTED_AFTER = 7 * DAY


class _History(NamedTuple):
    first: float
    has_spam: bool


class Correspondents:
    """The addresses that our users wrote to, without those of our own domains.

    A domain is our own if a client from outside had a recipient there accepted or refused as
    unknown. Without this rule, mail that a content filter hands back would make each user one.
    """

    def __init__(self) -> None:
        self._addresses: Bounded[str, bool] = Bounded()
        self._own: Bounded[str, bool] = Bounded()

    def see(self, transaction: Transaction) -> None:
        """Take the recipients of a transaction."""
        for address, one in transaction.recipients.items():
            if transaction.is_trusted:
                self._addresses.set(address, value=True)
            elif one.status in (Status.ACCEPTED, Status.UNKNOWN):
                self._own.set(domain_of(address), value=True)

    def __contains__(self, address: str) -> bool:
        return address in self._addresses and domain_of(address) not in self._own


class Standings:
    """The senders that a log has shown so far."""

    def __init__(self, correspondents: Correspondents) -> None:
        self._correspondents = correspondents
        self._domains: Bounded[str, _History] = Bounded()

    def standing(self, transaction: Transaction, network: str) -> Standing:
        """Return the standing of the sender at the time of a transaction."""
        if transaction.sender.lower() in self._correspondents:
            return Standing.TRUSTED
        history = self._domains.get(_identity(transaction, network))
        if history is None or history.has_spam:
            return Standing.STRANGER
        is_old = transaction.time - history.first >= ACQUAINTED_AFTER
        return Standing.ACQUAINTED if is_old else Standing.STRANGER

    def received(self, transaction: Transaction, network: str) -> None:
        """Record a message from outside."""
        is_spam = transaction.verdict is Verdict.SPAM
        if transaction.ending is not Ending.ACCEPTED and not is_spam:
            return
        key = _identity(transaction, network)
        earlier = self._domains.get(key) or _History(transaction.time, has_spam=False)
        self._domains.set(key, _History(earlier.first, earlier.has_spam or is_spam))


def is_proven(transaction: Transaction) -> bool:
    """Return whether the log shows that the domain of the sender is genuine (SPF, DKIM, DMARC)."""
    domain = domain_of(transaction.sender)
    organisation = organisational(domain)
    signed = any(organisational(one) == organisation for one in transaction.dkim)
    return domain != "" and (transaction.spf == "pass" or transaction.dmarc == "pass" or signed)


def _identity(transaction: Transaction, network: str) -> str:
    organisation = organisational(domain_of(transaction.sender))
    return organisation if is_proven(transaction) else f"{organisation} {network}"


def domain_of(address: str) -> str:
    """Return the domain of an address in lower case, empty for the null sender."""
    return address.rpartition("@")[2].lower()
