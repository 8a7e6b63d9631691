"""The addresses that your users have written to, from the logs of the server that sent their mail.

A message counts if the log shows that one of your users or programs sent it, and its sender is at
one of your domains. Senders of bounces, of forwards and `noreply` are left out. A recipient counts
if it is at another domain and its server has accepted the message.

Limits: MOST addresses, the newest ones. A log does not show whether a message was an automatic
answer, unless its sender does.
"""

from collections.abc import Callable

import msgspec

from gatepost.checks.bounded import Bounded
from gatepost.importers.transaction import Ending, Status, Transaction
from gatepost.model.address import Address, AddressError, domain_key
from gatepost.plugins._correspondents import is_of_program, key_of
from gatepost.traps.message_ids import recognise

MOST = 100_000
MOST_EXAMPLES = 10

_NOT_SENT = frozenset({Ending.REFUSED, Ending.DEFERRED, Ending.ABANDONED})


class Totals(msgspec.Struct):
    """Counts of messages and recipients.

    `messages` are those of your users. Those of programs (`automatic`) and those with a
    `foreign_sender` are left out, and recipients that were `not_delivered` or `unreadable`.
    `dropped` addresses were too many. `identifiers` are senders that look like message identifiers.
    """

    messages: int = 0
    automatic: int = 0
    foreign_sender: int = 0
    not_delivered: int = 0
    unreadable: int = 0
    dropped: int = 0
    identifiers: list[str] = []


class Collector:
    """Collects addresses; `is_local` returns whether a domain, in canonical form, is yours."""

    def __init__(self, is_local: Callable[[str], bool], most: int = MOST) -> None:
        self._is_local = is_local
        self._times: Bounded[str, float] = Bounded(most)
        self._most = most
        self.totals = Totals()

    @property
    def times(self) -> dict[str, float]:
        """The time of the last message to each address, by its key in the store."""
        return dict(self._times.items())

    def see(self, transaction: Transaction) -> None:
        """Take the recipients of a message of a user."""
        if not transaction.is_trusted or transaction.ending in _NOT_SENT:
            return
        if not self._is_of_user(transaction.sender):
            return
        self.totals.messages += 1
        for one in transaction.recipients.values():
            self._add(one.address, one.status, max(transaction.time, transaction.ended))

    def _is_of_user(self, sender: str) -> bool:
        """Return whether a user has sent a message with this sender; count it otherwise."""
        local, _, domain = sender.rpartition("@")
        if is_of_program(local):
            self.totals.automatic += 1
            return False
        if not self._is_local(domain_key(domain)):
            self.totals.foreign_sender += 1
            return False
        self._note_identifier(sender, local)
        return True

    def _note_identifier(self, sender: str, local: str) -> None:
        found = self.totals.identifiers
        if len(found) < MOST_EXAMPLES and recognise(local) is not None and sender not in found:
            found.append(sender)

    def _add(self, text: str, status: Status, time: float) -> None:
        try:
            address = Address.parse(text)
        except AddressError:
            self.totals.unreadable += 1
            return
        if self._is_local(domain_key(address.domain)):
            return
        if status is not Status.ACCEPTED:
            self.totals.not_delivered += 1
            return
        key = key_of(address)
        self.totals.dropped += key not in self._times and len(self._times) >= self._most
        self._times.set(key, max(time, self._times.get(key) or 0.0))
