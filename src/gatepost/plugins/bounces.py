"""Refuse false bounces: mail with the null sender that no message of yours can have caused.

Tags in the sender of your outgoing mail (`gatepost.plugins._batv`) show which bounces belong to it.
"""

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from gatepost import (
    Address,
    AddressList,
    Decision,
    DomainList,
    Headers,
    Lookup,
    MessageTransaction,
    Plugin,
    Reaction,
    Recipient,
    Secret,
    Transaction,
    field,
    local,
)
from gatepost.plugins._batv import DAY, add_tag, is_valid, read_tag
from gatepost.plugins._client import Finding, decide
from gatepost.plugins._findings import add_result, count

_SHORTEST_KEY = 8
_LONGEST_LIFE = 100
_NUMBERS = frozenset("0123456789")


class Bounces(Plugin):
    """Adds the result `bounces` for mail with the null sender: "pass", or the first finding."""

    after = frozenset({"masquerade"})

    class Options(Plugin.Options):
        """Reactions by what is found, and the keys of tags."""

        several: Reaction = Reaction("deny")
        """The reaction to a message with the null sender for more than one recipient. A bounce
        goes to one sender."""
        never_send: AddressList = AddressList()
        """Addresses from which no mail is sent, and which so get no bounces."""
        not_a_sender: Reaction = Reaction("deny")
        """The reaction to a bounce for an address of `never_send`."""
        keys: dict[str, Secret] = field(default_factory=dict)
        """The secrets of tags by their number, a digit: `{ "0" = "file:batv.key" }`."""
        domains: DomainList = DomainList()
        """The domains whose outgoing mail has tags. A bounce for an address of theirs must have a
        tag."""
        untagged: Reaction = Reaction("deny")
        """The reaction to a bounce without a tag."""
        bad_tag: Reaction = Reaction("deny")
        """The reaction to a bounce whose tag is wrong or too old."""
        exempt: AddressList = AddressList()
        """Addresses of `domains` that get bounces without a tag, because other servers send mail
        from them."""
        sign: str = ""
        """The number of the key with which outgoing mail gets tags, "" for no tags."""
        lifetime: int = 7
        """The number of days for which a tag is valid."""
        answer: Reaction = Reaction("none")
        """The reaction to a DSN or an automatic reply whose sender is not the null sender
        (RFC 3464, RFC 3834). Many programs for absence notices send such mail."""

        def __post_init__(self) -> None:
            if not self.keys.keys() <= _NUMBERS:
                raise ValueError('keys: expected one digit as the number of a key, such as "0"')
            if any(len(key) < _SHORTEST_KEY for key in self.keys.values()):
                raise ValueError(f"keys: expected at least {_SHORTEST_KEY} characters")
            if self.keys and not len(self.domains):
                raise ValueError("domains: expected the domains whose mail has tags")
            if self.sign and self.sign not in self.keys:
                raise ValueError("sign: expected the number of one of the keys")
            if not 1 <= self.lifetime <= _LONGEST_LIFE:
                raise ValueError(f"lifetime: expected 1 to {_LONGEST_LIFE} days")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if self.options.keys:  # without keys, it has no opinion about any recipient
            self.on_lookup = self._look_up  # type: ignore[method-assign]

    def _look_up(self, _tx: Transaction, rcpt: Recipient) -> Lookup | None:
        """Return that an address with a valid tag exists: this server has made the tag."""
        return None if self._untagged(rcpt.address) is None else local()

    def on_rcpt(self, tx: Transaction, rcpt: Recipient) -> Decision | None:
        """Remove a valid tag; examine the recipient of a message with the null sender."""
        original = self._untagged(rcpt.address)
        if original is not None:
            self.metrics.counter("valid_tags").inc()
            tx.replace_recipient(rcpt, [original])
        if tx.reverse_path or _is_trusted(tx):
            return None
        return self._conclude(tx, self._about(rcpt.address, original))

    def _about(self, address: Address, original: Address | None) -> Iterable[str]:
        """Yield what is wrong with the recipient of a bounce."""
        if (original or address) in self.options.never_send:
            yield "not_a_sender"
        elif self._must_have_tag(address) and original is None:
            yield "untagged" if read_tag(address.local) is None else "bad_tag"

    def _must_have_tag(self, address: Address) -> bool:
        options = self.options
        return bool(options.keys) and address in options.domains and address not in options.exempt

    def _untagged(self, address: Address) -> Address | None:
        """Return an address without its valid tag, None without one."""
        options = self.options
        tag = read_tag(address.local) if options.keys else None
        if tag is None or address not in options.domains:
            return None
        today = int(self.clock.time() // DAY)
        if not is_valid(tag, address.domain, options.keys, today, options.lifetime):
            return None
        return Address(tag.local, address.domain)

    def on_data(self, tx: Transaction) -> Decision | None:
        """Count the recipients of a message with the null sender."""
        if tx.reverse_path or len(tx.recipients) < 2 or _is_trusted(tx):
            return None
        return self._conclude(tx, ["several"])

    def on_headers(self, tx: MessageTransaction, headers: Headers) -> Decision | None:
        """Find DSNs and automatic replies with another sender than the null sender."""
        if not tx.reverse_path or _is_trusted(tx) or not _is_answer(headers):
            return None
        return self._conclude(tx, ["answer"])

    def on_message(self, tx: MessageTransaction) -> None:
        """Put a tag into the sender of a message that a user sends."""
        if not (self.options.sign and tx.reverse_path and _is_trusted(tx)):
            return
        sender = tx.sender_of(tx.recipients[0])  # as other plugins have changed it
        if self._must_have_tag(sender) and read_tag(sender.local) is None:
            self._sign(tx, sender)

    def _sign(self, tx: Transaction, sender: Address) -> None:
        number = self.options.sign
        last_day = int(self.clock.time() // DAY) + self.options.lifetime
        tagged = add_tag(sender, number, self.options.keys[number], last_day)
        if tagged is None:
            log = self.log_for(tx)
            log.warning("sender not tagged", sender=sender, problem="the local part is too long")
            return
        self.metrics.counter("signed").inc()
        # DSNs of this server come by no hook that could remove the tag.
        tx.change_sender(tagged, dsns=False)

    def _conclude(self, tx: Transaction, names: Iterable[str]) -> Decision | None:
        """Add the findings to those about earlier recipients, and decide about the new ones."""
        new = [_FINDINGS[name] for name in names]
        found: dict[str, Finding] = tx.notes.setdefault(self.name, {})
        found.update((one.value, one) for one in new)
        count(self, new)
        add_result(self, tx, "bounces", list(found.values()))
        return decide(new, self.options)


def _is_trusted(tx: Transaction) -> bool:
    """Return whether the client has authenticated, or is in a network of `relay_for`."""
    return tx.session.auth is not None or tx.session.in_relay_network


def _is_answer(headers: Headers) -> bool:
    kind = (headers.get("Content-Type") or "").lower()
    is_dsn = kind.startswith("multipart/report") and "delivery-status" in kind
    return is_dsn or (headers.get("Auto-Submitted") or "").lower().startswith("auto-replied")


_FINDINGS = {
    value: Finding(value, text, enhanced, attrgetter(value))
    for value, (enhanced, text) in {
        "several": ("5.7.1", "A bounce has one recipient"),
        "not_a_sender": ("5.7.1", "This address sends no mail, so it gets no bounces"),
        "untagged": ("5.7.1", "No message of this address can have caused this bounce"),
        "bad_tag": ("5.7.1", "The tag in the address of this bounce is wrong or too old"),
        "answer": ("5.7.1", "Automatic replies must have the null sender"),
    }.items()
}
