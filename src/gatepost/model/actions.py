"""Changes that plugins make to the recipients and the delivery of one transaction.

Theory of operation
-------------------
`tx.recipients` are the recipients that get the message. As long as no plugin changes them, they are
those that the client has named, and nothing else is stored. With the first change, `named` keeps
the accepted recipients as the client named them, in order, and `final` has for each the recipients
that stand for it. The client is answered about `named`: LMTP has one reply for each accepted RCPT,
whatever plugins do (RFC 2033 section 4.2).

The reply about a named recipient is that of its first final recipient that has failed, or 250. If
the client tries again, those that had not failed get a duplicate: a duplicate is better than a
loss.

Two recipients with the same canonical address are one. The first stays.

DSN parameters (RFC 3461): those that replace a recipient inherit its NOTIFY and ORCPT, so a DSN is
about the address that the sender has used (section 5.2.7.2). A recipient that a plugin has added
has NOTIFY=NEVER: a DSN would reveal it.

A sender that a plugin sets is for the delivery alone: `tx.reverse_path` stays, because decisions
are about the client. One that is set for a recipient comes before one that is set for all.

Limits: TIMES the limit of RCPT recipients (`limits.recipients`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from gatepost.model.address import NULL_PATH, Address
from gatepost.model.author import UNKNOWN, Author
from gatepost.model.envelope import in_envelope
from gatepost.model.fact_list import FactList
from gatepost.model.facts import keep, set_fact
from gatepost.model.reply import RecipientReplies, Reply
from gatepost.model.session import (
    Acting,
    Change,
    Hold,
    Recipient,
    Sender,
    Transaction,
    check_reason,
)

# An alias stands for a few mailboxes. More is a mailing list, which sends messages of its own.
TIMES = 10


class Destinations(Protocol):
    """The recipients that the server can deliver to; `most` for each message."""

    most: int

    def make(
        self, address: Address, params: dict[str, str], route: str, *, added: bool
    ) -> Recipient:
        """Return a recipient; raise ValueError if there is no such route."""


class Actions(Acting):
    """The changes of one transaction.

    `each` is whether the client gets a reply for each recipient. `named` is None without changes.
    `changes` are those so far, with those of plugins in shadow mode, which have no effect.
    The rest is as in `Acting`.
    """

    # Defaults of the class: most transactions are not changed, and each has an object.
    author: Author = UNKNOWN
    current: Recipient | None = None
    named: list[Recipient] | None = None
    final: Mapping[Recipient, list[Recipient]] = {}
    held: Hold | None = None
    sender: Sender | None = None
    has_senders: bool = False
    sealed: bool = False
    changes: Sequence[Change] = ()
    refusals: Sequence[tuple[Any, Reply]] = ()
    # Those that replace recipients which are being decided, and the plugin.
    _pending: Mapping[Recipient, tuple[list[Recipient], str]] = {}

    def __init__(self, destinations: Destinations, *, each: bool) -> None:
        self._destinations = destinations
        self.each = each

    # Called by `Transaction`

    def add(self, tx: Transaction, address: Address | str, route: str) -> Recipient:
        """Add a recipient, see `Transaction.add_recipient`."""
        new = self._make(tx, address, {"NOTIFY": "NEVER"}, route, added=True)
        if self.author.shadow:
            self._record("added", f"{new.address}")
            return new
        self._begin(tx)
        [one] = self._merge(tx, [new])
        if one is new:
            self._record("added", f"{one.address}")
        return one

    def replace(
        self, tx: Transaction, rcpt: Recipient, addresses: Iterable[Address | str]
    ) -> Sequence[Recipient]:
        """Replace a recipient, see `Transaction.replace_recipient`."""
        if isinstance(addresses, (str, Address)):
            raise TypeError(f"expected a list of addresses, found {addresses!r}")
        new = [
            self._make(tx, one, dict(rcpt.params), rcpt.route, added=rcpt.added)
            for one in addresses
        ]
        for one in new:
            set_fact(one, "sender", rcpt.sender)
        if not new:
            raise ValueError(
                "expected at least one address: to refuse a recipient use deny(recipients=[...]),"
                " to discard its mail a route to discard:"
            )
        if self.author.shadow:
            self._record("replaced", f"{rcpt.address} by {_listed(new)}")
            return new
        if self._is_open(rcpt):
            self._pending = {**self._pending, rcpt: (new, self.author.plugin)}
            return new
        return self._replace(tx, rcpt, new)

    def choose_route(
        self, tx: Transaction, name: str, recipients: Iterable[Recipient] | None
    ) -> None:
        """Choose a route, see `Transaction.choose_route`."""
        usual = (one for one in tx.recipients if not one.added)
        chosen = self._all_resolved(tx, usual if recipients is None else recipients)
        for one in chosen:
            self._destinations.make(one.address, one.params, name, added=one.added)
        for one in chosen if not self.author.shadow else ():
            set_fact(one, "route", name)
        if chosen:
            self._record(f"route {name}", _listed(chosen))

    def quarantine(self, tx: Transaction, reason: str) -> None:
        """Hold the message, see `Transaction.quarantine`."""
        check_reason(reason)
        if self.author.shadow:
            self._record("held", reason)
        elif not self.author.lifts_hold(tx, reason):
            self.hold(Hold(reason, self.author.plugin))

    def change_sender(
        self,
        tx: Transaction,
        address: Address | str,
        recipients: Iterable[Recipient] | None,
        *,
        dsns: bool,
    ) -> None:
        """Change the sender, see `Transaction.change_sender`."""
        if not tx.reverse_path:
            raise ValueError("the sender is the null reverse-path, which must not be changed")
        sender = Sender(in_envelope(tx, address) if address else NULL_PATH, dsns)
        chosen = None if recipients is None else self._all_resolved(tx, recipients)
        about = "" if chosen is None else f" for {_listed(chosen)}"
        if chosen == []:
            return
        self._record("sender", f"<{sender.address}>{about}")
        if self.author.shadow:
            return
        self.has_senders = True
        if chosen is None:
            self.sender = sender
        for one in chosen or ():
            set_fact(one, "sender", sender)

    # Called by the server

    def hold(self, hold: Hold) -> None:
        """Hold the message; the first reason stays."""
        if self.held is None:
            self.held = hold
            self.changes = (*self.changes, Change("held", hold.reason, hold.by))

    def is_replaced(self, rcpt: Recipient) -> bool:
        """Return whether others replace a recipient that is being decided."""
        return rcpt in self._pending

    def accept(self, tx: Transaction, rcpt: Recipient) -> None:
        """Add a recipient that the client has named, or those that replace it."""
        new, plugin = self._pending.get(rcpt, (None, ""))
        if new is None and self.named is None:
            keep(tx, "recipients", rcpt)
            return
        named = self._begin(tx)
        named.append(rcpt)
        self.final = {**self.final, rcpt: self._merge(tx, new or [rcpt])}
        if new is not None:
            about = f"{rcpt.address} by {_listed(self.final[rcpt])}"
            self.changes = (*self.changes, Change("replaced", about, plugin))

    def refuse(self, tx: Transaction, recipients: Iterable[Recipient], reply: Reply) -> bool:
        """Refuse recipients at the end of the message; return whether all are refused.

        Without a reply for each recipient all are, and nothing changes. Raises ValueError for a
        recipient that is not in this transaction.
        """
        chosen = self._all_resolved(tx, recipients)
        if not self.each:
            return True
        self._begin(tx)
        for one in dict.fromkeys(chosen):
            if one in tx.recipients:
                set_fact(one, "reply", reply)
                keep(tx, "refused", one)
        set_fact(tx, "recipients", FactList(one for one in tx.recipients if one not in chosen))
        return all(one.added for one in tx.recipients)

    def replies(self, usual: Mapping[Recipient, Reply], otherwise: Reply) -> Reply:
        """Return the reply to the client, for each recipient that it has named.

        `usual` has the replies about final recipients, `otherwise` stands for those that it lacks.
        """
        if otherwise.close:
            return otherwise
        each = [self._reply(one, usual, otherwise) for one in self.named or usual]
        return each[0] if len(set(each)) == 1 else RecipientReplies(each)

    def _reply(self, named: Recipient, usual: Mapping[Recipient, Reply], otherwise: Reply) -> Reply:
        reply = otherwise
        for one in self.final.get(named, (named,)):
            reply = usual.get(one) or _refusal(one) or otherwise
            if reply.code >= 400:
                break
        return reply

    # The lists

    def _begin(self, tx: Transaction) -> list[Recipient]:
        """Keep the recipients as the client has named them; return them."""
        if self.named is None:
            self.named = list(tx.recipients)
            self.final = {one: [one] for one in self.named}
        return self.named

    def _make(
        self,
        tx: Transaction,
        address: Address | str,
        params: dict[str, str],
        route: str,
        *,
        added: bool,
    ) -> Recipient:
        parsed = in_envelope(tx, address)
        return self._destinations.make(parsed, params, route, added=added)

    def _replace(
        self, tx: Transaction, rcpt: Recipient, new: Sequence[Recipient]
    ) -> Sequence[Recipient]:
        if rcpt not in tx.recipients:
            raise ValueError(f"{rcpt.address} is no recipient of this transaction")
        self._begin(tx)
        final = self._merge(tx, new)
        if rcpt not in final:
            set_fact(tx, "recipients", FactList(one for one in tx.recipients if one is not rcpt))
        self.final = {named: _spread(those, rcpt, final) for named, those in self.final.items()}
        self._record("replaced", f"{rcpt.address} by {_listed(final)}")
        return final

    def _merge(self, tx: Transaction, new: Sequence[Recipient]) -> list[Recipient]:
        """Add recipients to the transaction; return them, or those with the same address."""
        found = {one.address.key: one for one in reversed(tx.recipients)}
        merged = [found.setdefault(one.address.key, one) for one in new]
        added = [one for one in dict.fromkeys(merged) if one not in tx.recipients]
        if len(tx.recipients) + len(added) > self._destinations.most:
            raise ValueError(f"a message has at most {self._destinations.most} recipients")
        # A new list: the plugin may be iterating over the old one.
        set_fact(tx, "recipients", FactList([*tx.recipients, *added]))
        return list(dict.fromkeys(merged))

    def _all_resolved(self, tx: Transaction, recipients: Iterable[Recipient]) -> list[Recipient]:
        return [one for named in recipients for one in self._resolved(tx, named)]

    def _resolved(self, tx: Transaction, rcpt: Recipient) -> Sequence[Recipient]:
        """Return the recipients that stand for one that the client has named, or the one itself."""
        if rcpt in tx.recipients:
            return (rcpt,)
        if rcpt in self.final:
            return self.final[rcpt]
        if self._is_open(rcpt):
            return (rcpt, *(self._pending[rcpt][0] if rcpt in self._pending else ()))
        raise ValueError(f"{rcpt.address} is no recipient of this transaction")

    def _is_open(self, rcpt: Recipient) -> bool:
        """Return whether a recipient has no reply yet."""
        return rcpt is self.current and rcpt.reply is None

    def _record(self, kind: str, about: str) -> None:
        """Keep a change for the log; in shadow mode it has had no effect."""
        change = Change(f"not {kind}" if self.author.shadow else kind, about, self.author.plugin)
        self.changes = (*self.changes, change)


def _refusal(rcpt: Recipient) -> Reply | None:
    """Return the refusal of a recipient, None if there is none."""
    return rcpt.reply if rcpt.reply is not None and rcpt.reply.code >= 400 else None


def _spread(
    those: list[Recipient], rcpt: Recipient, instead: Sequence[Recipient]
) -> list[Recipient]:
    """Return recipients with others instead of one, each once."""
    if rcpt not in those:
        return those
    return list(dict.fromkeys(one for old in those for one in (instead if old is rcpt else [old])))


def _listed(recipients: Iterable[Recipient]) -> str:
    return ", ".join(str(one.address) for one in recipients)
