"""The facts about a message that a server would look up: SPF, DKIM, the reverse name, the content.

The simulator has them and asks no DNS. They are added to the results of the transaction, where
the shipped plugins would add theirs.
"""

from __future__ import annotations

from gatepost import Address, Plugin, Transaction
from sim.sessions import Facts


class KnownFacts(Plugin):
    """Adds the results `spf`, `dkim`, `iprev` and `content` of the message that is played."""

    def __init__(self) -> None:
        super().__init__()
        self.current = Facts()

    def observe_mail(self, tx: Transaction, sender: Address, /) -> None:
        """Add the results of the current message."""
        facts = self.current
        if facts.spf:
            tx.results.add("spf", "pass", domain=sender.domain)
        for domain in facts.dkim:
            tx.results.add("dkim", "pass", domain=domain)
        if facts.name:
            tx.results.add("iprev", "pass", host=facts.name)
        if facts.looks_bad:
            tx.results.add("content", "bad")
