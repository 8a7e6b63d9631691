"""Refuse messages that go round between servers, by the fields that each delivery leaves.

The server itself refuses a message with too many Received fields (`limits.hops`), and one that it
has received twice for the same recipient. This plugin detects the loops of others: a mailbox that
forwards to itself, a program that marks its mail with X-Loop.

Trusts: nothing in the fields. Limits: MOST fields of a name are read, each MAX_FIELD characters.
"""

import re
from collections.abc import Iterator
from itertools import islice
from operator import attrgetter

from gatepost import Address, AddressError, Decision, Headers, MessageTransaction, Plugin, Reaction
from gatepost.plugins._client import Finding
from gatepost.plugins._findings import conclude

MOST = 100
MAX_FIELD = 2000

_BY = re.compile(r"(?i)\bby\s+([\w.-]+)")
_ADDRESS = re.compile(r"[^\s<>(),;:]+@[^\s<>(),;:]+")


class Loops(Plugin):
    """Adds the result `loops`: "pass", or the first finding."""

    keeps_decisions = True

    class Options(Plugin.Options):
        """Reactions by what is found."""

        delivered_to: Reaction = Reaction("deny")
        """The reaction to a Delivered-To field with a recipient of the message: it was delivered
        to this mailbox before, and then forwarded."""
        x_loop: Reaction = Reaction("deny")
        """The reaction to an X-Loop field with a recipient of the message, or the name of this
        server."""
        passed: Reaction = Reaction("deny")
        """The reaction to `most_passed` or more Received fields of this server."""
        most_passed: int = 4
        """The number of Received fields of this server from which a message loops. One or two are
        usual if a filter or a mailing list sends mail back."""
        hops: Reaction = Reaction("none")
        """The reaction to more than `most_hops` Received fields."""
        most_hops: int = 30
        """The usual number of Received fields. From `limits.hops` on the server refuses."""

        def __post_init__(self) -> None:
            if min(self.most_passed, self.most_hops) < 1:
                raise ValueError("expected 1 or more Received fields")

    def on_headers(self, tx: MessageTransaction, headers: Headers) -> Decision | None:
        """Examine the fields; a refusal is sent at the end of the message."""
        findings = [_FINDINGS[name] for name in self._found(tx, headers)]
        return conclude(self, tx, "loops", findings)

    def _found(self, tx: MessageTransaction, headers: Headers) -> Iterator[str]:
        named = {_key(str(one.address)) for one in tx.recipients}
        if not named.isdisjoint(_addresses(headers, "Delivered-To")):
            yield "delivered_to"
        if not {*named, self.server.hostname.lower()}.isdisjoint(_loop_marks(headers)):
            yield "x_loop"
        received = headers.get_all("Received")
        if sum(map(self._is_own, received[: 10 * MOST])) >= self.options.most_passed:
            yield "passed"
        if len(received) > self.options.most_hops:
            yield "hops"

    def _is_own(self, received: str) -> bool:
        found = _BY.search(received, 0, MAX_FIELD)
        return found is not None and found[1].lower() == self.server.hostname.lower()


def _loop_marks(headers: Headers) -> Iterator[str]:
    """Yield the marks in X-Loop: addresses in canonical form, and the words."""
    yield from _addresses(headers, "X-Loop")
    for value in islice(headers.get_all("X-Loop"), MOST):
        yield from value[:MAX_FIELD].lower().split()


def _addresses(headers: Headers, name: str) -> Iterator[str]:
    """Yield the addresses in the fields of a name, in canonical form."""
    for value in islice(headers.get_all(name), MOST):
        yield from map(_key, _ADDRESS.findall(value[:MAX_FIELD]))


def _key(address: str) -> str:
    try:
        return Address.parse(address).key
    except AddressError:
        return ""


_FINDINGS = {
    value: Finding(value, text, "5.4.6", attrgetter(value))
    for value, text in {
        "delivered_to": "Mail loops: it was delivered to a recipient before",
        "x_loop": "Mail loops: X-Loop names a recipient",
        "passed": "Mail loops back to this server",
        "hops": "Too many hops",
    }.items()
}
