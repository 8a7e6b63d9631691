"""Refuse or score mail whose sender domain, HELO name or reverse name is on a DNS list (RHSBL).

The lists are asked at MAIL, all at the same time, and the decision is that of each recipient, as in
`dnsbl`. The reverse name is the one that `iprev` has confirmed; without that plugin it is unknown.

Limits: MOST_PARENTS names for each domain with `parents`. Address literals are not asked about.
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import Literal

from gatepost import Address, Decision, Recipient, Transaction
from gatepost.plugins._addresses import is_trusted
from gatepost.plugins._dns_lists import (
    DOMAINS,
    DnsLists,
    EnvelopeOptions,
    Listing,
    add_results,
    enough,
)
from gatepost.plugins._zones import ListPlugin

NAME = "rhsbl"
MOST_PARENTS = 5
Checked = Literal["sender", "helo", "reverse"]
_SHOWN = {"sender": "Sender domain", "helo": "HELO name", "reverse": "Reverse name"}
_DOMAIN = re.compile(r"(?=.{1,200}\Z)(?:[a-z0-9_-]{1,63}\.)+(?=[a-z0-9-]*[a-z])[a-z0-9-]{1,63}")


class Rhsbl(ListPlugin):
    """Asks the lists for each message, because its sender is another one."""

    after = frozenset({"iprev"})

    class Options(EnvelopeOptions):
        """`zones` is required."""

        check: tuple[Checked, ...] = ("sender", "helo", "reverse")
        """The names that are looked up."""
        parents: bool = False
        """Whether the parents of a domain are looked up too, for lists that do not have an
        entry for every name in a listed domain."""
        text: str = "{name} {domain} is listed in {list}"
        """The reply, with `{name}` (such as "Sender domain"), `{domain}` and `{list}`."""

    async def start(self) -> None:
        """Begin to test the lists."""
        self._lists = DnsLists(self, DOMAINS)
        self._lists.start()

    async def on_mail(self, tx: Transaction, _sender: Address) -> None:
        """Ask the lists, for all plugins at RCPT."""
        await self._ask_once(tx)

    async def on_rcpt(self, tx: Transaction, rcpt: Recipient) -> Decision | None:
        """Decide about the recipient."""
        # again, because another plugin can have accepted MAIL before this one was called
        listings = await self._ask_once(tx)
        if not listings or rcpt.user in self.options.accept_for:
            return None
        return await self._lists.decide(listings, self.options, partial(self._text, tx), NAME)

    def _text(self, tx: Transaction, listing: Listing) -> str:
        """Return the text of the reply, with the name that is listed."""
        found = (_SHOWN[one] for one in self.options.check if _covers(listing.what, _name(tx, one)))
        text = self.options.text.replace("{name}", next(found, "Domain"))
        return text.replace("{domain}", listing.what)

    async def _ask_once(self, tx: Transaction) -> list[Listing]:
        """Return the entries of the names in the lists; ask the lists the first time."""
        known: list[Listing] | None = tx.notes.get(self.name)
        if known is not None:
            return known
        tx.notes[self.name] = known = []
        exempt = is_trusted(tx.session, self.options.exempt_clients)
        names = () if exempt else self._names(tx)
        if names:
            pairs = [(zone, name) for zone in self.options.parsed for name in names]
            found = await self._lists.look_up(pairs, until=enough(self.options.threshold))
            add_results(tx.results, NAME, "domain", found)
            known += (one for one in found if one.answers)
        return known

    def _names(self, tx: Transaction) -> list[str]:
        """Return the names to look up, each once."""
        names = (_name(tx, one) for one in self.options.check)
        if self.options.parents:
            names = (parent for one in names for parent in _with_parents(one))
        return [one for one in dict.fromkeys(names) if one]


def _name(tx: Transaction, which: Checked) -> str:
    """Return one of the names of a message in canonical form, "" if it is no domain."""
    if which == "sender":
        found = tx.reverse_path.domain
    elif which == "helo":
        found = tx.session.helo
    else:
        result = tx.results.get("iprev")
        found = str(result.facts.get("name", "")) if result and result.value == "pass" else ""
    name = Address("", found[:255]).key[1:]
    return name if _DOMAIN.fullmatch(name) else ""


def _covers(domain: str, name: str) -> bool:
    return name == domain or name.endswith(f".{domain}")


def _with_parents(name: str) -> Iterator[str]:
    """Yield a domain and its parents, without top-level domains."""
    yield name
    labels = name.split(".")
    for start in range(1, len(labels) - 1)[-MOST_PARENTS:]:
        yield ".".join(labels[start:])
