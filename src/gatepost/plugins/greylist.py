"""Defer the first attempts of an unknown client and sender; most spam programs do not try again.

Theory of operation
-------------------
A key is the origin, the sender and the recipient. The origin is the network of the client, or the
sender's domain if SPF has passed for it. `gatepost.plugins._greylisting` has the numbers that the
store keeps for keys and origins.

A known key, an early one and a trusted origin cost one read. A key that is new, or that becomes
known, costs a write after it. The write of a new key is `add`: of two nodes that see the first
attempt at the same time, one has its time recorded.

Security: only an answer of the store defers mail. If a flood of new keys fills the store, pending
keys go first, because they expire first. Limits: see docs/shipped/greylist.md.
"""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from gatepost import (
    AddressList,
    Decision,
    DomainList,
    Duration,
    NetworkList,
    Plugin,
    Recipient,
    StoreError,
    Transaction,
    defer,
)
from gatepost.plugins._addresses import INTERNAL, is_trusted
from gatepost.plugins._greylisting import (
    MOST_SUCCESSES,
    Outcome,
    judge,
    stable_local,
    with_success,
)
from gatepost.plugins._subjects import (
    check_prefixes,
    client_network,
    domain_of,
    in_words,
    spf_domain,
)

Stage = Literal["rcpt", "data"]
Later = Decision | None | Awaitable[Decision | None]

DEFERRED = ("new", "early")
# Recipients in one batch: two operations each, and the store takes 1000.
CHUNK = 400
# The share of `keep` after which the time of a known key is written again.
REFRESH = 1 / 8
# The key of the time at which the store was empty.
BEGUN = "begun"


class Greylist(Plugin):
    """Defers recipients of unknown clients and senders."""

    after = frozenset(
        {
            *("dnsbl", "dnswl", "early_talker", "geo", "helo", "iprev", "p0f", "reputation"),
            *("rhsbl", "sender_domain", "spf"),
        }
    )

    class Options(Plugin.Options):
        """The keys that are deferred, and for how long."""

        delay: Duration = Duration("5m")
        """The time after the first attempt during which further attempts are deferred. 0 switches
        greylisting off, for example for the recipients of a domain."""
        window: Duration = Duration("2d")
        """The time after the first attempt within which the client must try again."""
        keep: Duration = Duration("36d")
        """How long a client and sender stay known after their last message."""
        at: Stage = "rcpt"
        """Where it decides. At "data" it defers the message if any recipient is deferred."""
        sender: Literal["domain", "address"] = "domain"
        """The part of the sender that counts. From an address, the parts that change with each
        message are removed: BATV, SRS, VERP, numbers."""
        recipient: Literal["address", "domain", "none"] = "address"
        """The part of the recipient that counts."""
        ipv4_prefix: int = 24
        """The length of an IPv4 network that counts as one client."""
        ipv6_prefix: int = 64
        """The length of an IPv6 network that counts as one client."""
        spf_origin: bool = True
        """Whether the sender's domain counts in place of the network if SPF has passed for it."""
        trust_after: int = 5
        """The number of successful retries, counted at most once an hour, from which the network
        or domain is not deferred any more; 0 for never."""
        null_sender: Literal["data", "rcpt", "skip"] = "data"
        """Where mail with the null sender is deferred. At "data", servers that verify an address
        with a call-back get their answer at RCPT at once."""
        learn: Duration = Duration("0s")
        """The time after the first use of an empty store in which new senders pass and become
        known."""
        exempt_clients: NetworkList = NetworkList(*INTERNAL)
        """Clients that are not deferred."""
        exempt_spf: DomainList = DomainList()
        """Domains of senders that are not deferred if SPF has passed."""
        exempt_senders: AddressList = AddressList()
        """Senders that are not deferred. Anyone can use such an address: prefer `exempt_spf`."""
        exempt_recipients: AddressList = AddressList()
        """Recipients whose mail is not deferred."""

        def __post_init__(self) -> None:
            check_prefixes(self.ipv4_prefix, self.ipv6_prefix)
            if self.delay and self.window <= self.delay:
                raise ValueError("expected a window longer than the delay")
            if not self.keep:
                raise ValueError("expected keep greater than 0")
            if not 0 <= self.trust_after <= MOST_SUCCESSES:
                raise ValueError(f"expected trust_after from 0 to {MOST_SUCCESSES}")

    def on_rcpt(self, tx: Transaction, rcpt: Recipient) -> Later:
        """Defer a recipient of an unknown client."""
        stage = self._stage(tx, rcpt)
        if stage == "rcpt":
            return self._decide(tx, [rcpt])
        if stage == "data":
            tx.notes[self.name] = True
        return None

    def on_data(self, tx: Transaction) -> Later:
        """Defer a message to recipients that are decided at DATA."""
        if self.name not in tx.notes:
            return None
        recipients = [one for one in tx.recipients if self._stage(tx, one) == "data"]
        return self._decide(tx, recipients) if recipients else None

    def _stage(self, tx: Transaction, rcpt: Recipient) -> Stage | None:
        """Return where a recipient is decided, None if it is exempt."""
        options = self.options_for(rcpt)
        if not options.delay or is_trusted(tx.session, options.exempt_clients):
            return None
        if options.exempt_senders and tx.reverse_path in options.exempt_senders:
            return None
        if options.exempt_recipients and rcpt in options.exempt_recipients:
            return None
        if options.exempt_spf and spf_domain(tx) in options.exempt_spf:
            return None
        if tx.reverse_path or options.null_sender == "rcpt":
            return options.at
        return "data" if options.null_sender == "data" else None

    async def _decide(self, tx: Transaction, recipients: Sequence[Recipient]) -> Decision | None:
        """Return the deferral of the recipient that has to wait longest, None if none has to."""
        entries = [_entry(tx, one, self.options_for(one)) for one in recipients]
        found: list[_Finding] = []
        for start in range(0, len(entries), CHUNK):
            found += await self._find(entries[start : start + CHUNK])
        for one in found:
            self.metrics.counter("recipients", outcome=one.outcome).inc()
        worst = max(found, key=lambda one: one.wait)
        facts = {"wait": math.ceil(worst.wait)} if worst.wait else {}
        tx.results.replace(self.name, worst.outcome, key=worst.entry.key[:400], **facts)
        if worst.outcome not in DEFERRED:
            return None
        text = f"Greylisted, try again {in_words(worst.wait)}"
        return defer(text, reason=f"greylist-{worst.outcome}")

    async def _find(self, entries: Sequence["_Entry"]) -> list["_Finding"]:
        """Read the numbers of keys, write those that change, return what is found."""
        now = int(self.clock.time() * 1000)
        async with self.store.batch() as batch:
            reads = [(batch.get(one.key), batch.get(one.trust_key)) for one in entries]
        try:
            found = [
                _Finding.read(entry, _number(value.value), _number(trust.value), now)
                for entry, (value, trust) in zip(entries, reads, strict=True)
            ]
            return await self._write(found, now)
        except StoreError:
            return [_Finding(one, "temperror") for one in entries]

    async def _write(self, found: list["_Finding"], now: int) -> list["_Finding"]:
        """Write what has changed; raise `StoreError` if a new key cannot be written."""
        new = [one for one in found if one.outcome == "new"]
        begun = None
        async with self.store.batch() as batch:
            added = [batch.add(one.entry.key, now, ttl=one.entry.options.window) for one in new]
            if any(one.entry.options.learn for one in new):
                batch.add(BEGUN, now)
                begun = batch.get(BEGUN)
            for one in found:
                for key, number in one.changes(now):
                    batch.set(key, number, ttl=one.entry.options.keep)
        for pending in added:
            _ = pending.value
        return found if begun is None else await self._learn(found, now, _number(begun.value))

    async def _learn(
        self, found: list["_Finding"], now: int, begun: int | None
    ) -> list["_Finding"]:
        """Make new keys known while the store is still learning."""
        age = (now - (begun or now)) / 1000
        learned = [one.learned if age < one.entry.options.learn else one for one in found]
        async with self.store.batch() as batch:
            for one in learned:
                if one.outcome == "learned":
                    batch.set(one.entry.key, -now, ttl=one.entry.options.keep)
        return learned


class _Entry(NamedTuple):
    """The keys of a recipient in the store, its options, and whether the origin earns trust.

    A transaction that has hit a trap does not earn trust.
    """

    key: str
    trust_key: str
    options: Greylist.Options
    earns: bool


class _Finding(NamedTuple):
    """The outcome for a recipient, the seconds that it is deferred for, and the numbers."""

    entry: _Entry
    outcome: Outcome
    wait: float = 0.0
    stored: int | None = None
    trust: int | None = None

    @classmethod
    def read(cls, entry: _Entry, stored: int | None, trust: int | None, now: int) -> "_Finding":
        """Return what the numbers of an entry mean."""
        if not entry.options.trust_after:
            trust = None
        outcome, wait = judge(stored, trust, now, entry.options.delay)
        return cls(entry, outcome, wait, stored, trust)

    @property
    def learned(self) -> "_Finding":
        """The same, or that a new key is made known."""
        return _Finding(self.entry, "learned") if self.outcome == "new" else self

    def changes(self, now: int) -> list[tuple[str, int]]:
        """Return the keys to write, with their new numbers."""
        key, trust_key, options, earns = self.entry
        if self.outcome == "passed":
            trust = with_success(self.trust, now, options.trust_after) if earns else None
            return [(key, -now)] + ([] if trust is None else [(trust_key, trust)])
        if self.outcome == "known" and self._is_old(self.stored, now):
            return [(key, -now)]
        if self.outcome == "trusted" and self._is_old(self.trust, now):
            return [(trust_key, -now)]
        return []

    def _is_old(self, number: int | None, now: int) -> bool:
        return now + (number or 0) > REFRESH * 1000 * self.entry.options.keep


def _entry(tx: Transaction, rcpt: Recipient, options: Greylist.Options) -> _Entry:
    """Return the keys of a recipient."""
    domain = spf_domain(tx) if options.spf_origin else ""
    host = tx.session.peer.host
    origin = domain or client_network(host, options.ipv4_prefix, options.ipv6_prefix)
    key = f"{origin} {_sender(tx, options)} {_RECIPIENTS[options.recipient](rcpt)}"
    return _Entry(key, f"trust {origin}", options, not tx.trap_hits)


def _sender(tx: Transaction, options: Greylist.Options) -> str:
    """Return the part of the sender that counts, "<>" for the null reverse-path."""
    domain = domain_of(tx.reverse_path) or "<>"
    if options.sender == "domain" or not tx.reverse_path:
        return domain
    return f"{stable_local(tx.reverse_path.local)}@{domain}"


_RECIPIENTS: Mapping[str, Callable[[Recipient], str]] = {
    "address": lambda rcpt: f"{rcpt.user}@{rcpt.domain}",
    "domain": lambda rcpt: rcpt.domain,
    "none": lambda _rcpt: "*",
}


def _number(value: str | int | None) -> int | None:
    """Return a number of the store; anything else was not written by this plugin."""
    return value if isinstance(value, int) else None
