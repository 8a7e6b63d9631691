"""The facts about a message that a server would look up: SPF, DKIM, the reverse name, the content.

The simulator has them and asks no DNS. They are added to the results of the transaction where and
as the shipped plugins add theirs: SPF and the reverse name at MAIL, DKIM, DMARC and the verdict
about the content after the content.
"""

from __future__ import annotations

from gatepost import Address, MessageTransaction, Plugin, Transaction
from sim.sessions import Facts

# The points of a message that a content filter finds bad.
BAD = 5.0


class KnownFacts(Plugin):
    """Adds the results of the message that is played; with `believes` SPF passes for every name."""

    before = frozenset({"standing", "trap_memory"})

    def __init__(self, *, believes: bool = False) -> None:
        super().__init__()
        self.current = Facts()
        self._believes = believes

    def observe_mail(self, tx: Transaction, sender: Address, /) -> None:
        """Add what is known before the content."""
        facts = self.current
        if sender and (facts.spf or self._believes):
            tx.results.add("spf", "pass", domain=sender.domain)
        if facts.name:
            tx.results.add("iprev", "pass", name=facts.name)

    def observe_message(self, tx: MessageTransaction, /) -> None:
        """Add what is known after the content; the author has the domain of the sender."""
        facts, domain = self.current, tx.reverse_path.domain
        for signer in facts.dkim:
            tx.results.add("dkim", "pass", domain=signer)
        if domain and (domain in facts.dkim or tx.results.value("spf") == "pass"):
            tx.results.add("dmarc", "pass", domain=domain, organizational_domain=domain)
        if facts.looks_bad:
            tx.results.add("content", "bad", score=BAD)
