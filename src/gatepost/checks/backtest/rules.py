"""The rules of a back-test, applied to one transaction after the other.

The order is that of the server: a trap in a list, many unknown recipients, message identifiers, and
then the memory of what these found before. A transaction of our own users is never judged. With a
null sender only many unknown recipients count, and nothing is remembered: bounces of forged mail
come from innocent servers.
"""

from collections.abc import Iterator
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from gatepost.checks.backtest.recipients import Asked, locals_of
from gatepost.checks.backtest.standing import (
    Correspondents,
    Standings,
    domain_of,
    is_proven,
)
from gatepost.importers.transaction import Ending, Transaction, Verdict
from gatepost.lists.providers import Providers
from gatepost.traps.many_unknown import ManyUnknown
from gatepost.traps.memory import Recall, TrapMemory, domain_key_of, network_keys
from gatepost.traps.memory import is_proven as is_held_responsible
from gatepost.traps.message_ids import recognise
from gatepost.traps.organisations import organisational
from gatepost.traps.shared import SharedNetworks
from gatepost.traps.verdicts import MEMORY_TABLE, Standing, TrapClass, Treatment, treatment


class Rule(Enum):
    """The rules; reports show the value."""

    LISTED = "trap lists"
    MANY_UNKNOWN = "many unknown recipients"
    MESSAGE_ID = "message identifiers"
    MARKING = "memory, 7 days"
    REFUSING = "memory, 24 hours"


class Hit(NamedTuple):
    """A rule that applies to a transaction, and the treatment of the message."""

    rule: Rule
    treatment: Treatment
    recipients: int


_CLASSES = {
    Rule.LISTED: TrapClass.PRISTINE,
    Rule.MANY_UNKNOWN: TrapClass.VIRTUAL,
    Rule.MESSAGE_ID: TrapClass.MESSAGE_ID,
}


class Rules:
    """The rules with their memory."""

    def __init__(
        self,
        providers: Providers,
        correspondents: Correspondents,
        many_unknown: ManyUnknown | None = None,
        memory: TrapMemory | None = None,
    ) -> None:
        self._providers = providers
        self._many_unknown = many_unknown or ManyUnknown()
        self._memory = memory or TrapMemory()
        self._shared = SharedNetworks()
        self._standings = Standings(correspondents)

    def judge(self, transaction: Transaction, asked: Asked) -> list[Hit]:
        """Return the rules that apply to a transaction with these recipients, and learn from it."""
        if transaction.is_trusted:
            return []
        address = _address(transaction.client)
        networks = network_keys(address) if address else ()
        keys = self._keys(transaction, address, networks)
        standing = self._standings.standing(transaction, "".join(networks[-1:]))
        direct = list(self._direct(asked, standing))
        if transaction.sender == "":
            return [hit for hit in direct if hit.rule is Rule.MANY_UNKNOWN]
        hits = direct or list(_remembered(self._memory.recall(transaction.time, keys), standing))
        if direct:
            self._memory.remember(transaction.time, keys)
        self._learn(transaction, networks)
        return hits

    def _direct(self, found: Asked, standing: Standing) -> Iterator[Hit]:
        """Yield the rules about the recipients of the transaction itself."""
        identifiers = sum(recognise(one) is not None for one in locals_of(found.unknown))
        counts = {
            Rule.LISTED: len(found.traps),
            Rule.MANY_UNKNOWN: (
                len(found.unknown)
                if self._many_unknown.is_hit(len(found.unknown), found.asked)
                else 0
            ),
            Rule.MESSAGE_ID: identifiers,
        }
        for rule, count in counts.items():
            if count:
                yield Hit(rule, treatment(_CLASSES[rule], standing), count)

    def _keys(
        self,
        transaction: Transaction,
        address: IPv4Address | IPv6Address | None,
        networks: tuple[str, ...],
    ) -> list[str]:
        """Return the keys of the memory for a transaction; none for a shared network."""
        is_shared = self._providers.covers(address, transaction.name or transaction.helo) or any(
            self._shared.is_shared(transaction.time, one) for one in networks
        )
        keys = [] if is_shared else list(networks)
        domain = domain_of(transaction.sender)
        organisation = organisational(domain)
        is_signed = any(organisational(one) == organisation for one in transaction.dkim)
        if domain and is_held_responsible(
            spf_aligned=transaction.spf == "pass", dkim_aligned=is_signed, shared_network=is_shared
        ):
            keys.append(domain_key_of(organisation))
        return keys

    def _learn(self, transaction: Transaction, networks: tuple[str, ...]) -> None:
        self._standings.received(transaction, "".join(networks[-1:]))
        is_good = transaction.ending is Ending.ACCEPTED and transaction.verdict is not Verdict.SPAM
        if is_good and is_proven(transaction):
            for one in networks:
                organisation = organisational(domain_of(transaction.sender))
                self._shared.accepted(transaction.time, one, organisation)


def _remembered(recall: Recall, standing: Standing) -> Iterator[Hit]:
    """Yield the rules of the memory: the second shows what refusing for a day would do."""
    marked = MEMORY_TABLE[standing]
    if recall.marks and marked is not Treatment.NONE:
        yield Hit(Rule.MARKING, marked, 0)
        if recall.refuses:
            yield Hit(Rule.REFUSING, Treatment.REFUSE_ALL_AFTER_CONTENT, 0)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.partition("%")[0].lower().removeprefix("ipv6:"))
    except ValueError:
        return None
