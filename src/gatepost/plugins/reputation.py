"""Give points by what was learned about the client and its authenticated domains.

Theory of operation
-------------------
Subjects are the network of a client, the domains for which SPF or DKIM has passed, and optionally
its AS. Each has two counts in the store, good and bad, which decay
(`gatepost.plugins._decay`). They are read in one batch at MAIL, and at the end of the content for
domains that only DKIM has authenticated. What a session adds is written in one batch when it ends.
Each worker learns from its own hooks; the ledger is not asked, because it is on disk and a hook
must not wait for it.

The points of a subject are `bad_points` or `good_points` times
(bad - good) / (bad + good + `prior`), so little evidence gives few points.

Security: a name that the client only claims has no reputation. The points of this plugin and its
refusals are not learned from: a reputation does not feed itself. Limits: MOST_DOMAINS of a message,
MOST_BAD points of a session. Without the store there is no opinion, and nothing is learned.
"""

import zlib
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from gatepost import (
    Decision,
    Duration,
    MessageTransaction,
    NetworkList,
    Outcome,
    Plugin,
    Reaction,
    Recipient,
    Reply,
    Session,
    StoreError,
    Transaction,
    Verdict,
)
from gatepost.plugins import _decay
from gatepost.plugins._addresses import INTERNAL, is_trusted
from gatepost.plugins._subjects import check_prefixes, client_network, spf_domain

Later = Decision | None | Awaitable[Decision | None]

# Domains that a message can be authenticated for: its sender and its first signatures.
MOST_DOMAINS = 3
# Domains whose events are kept in one session.
MOST_KEPT = 50
# Points against a client in one session: many wrong commands are one programming error.
MOST_BAD = 50.0

# From this many times `prior`, one in SAMPLE good messages is counted SAMPLE times: established
# senders have most of the mail, and each count is a write to the store.
PLENTY = 4
SAMPLE = 8


class Counts(NamedTuple):
    """The points for and against a subject, as decayed."""

    good: float = 0.0
    bad: float = 0.0

    def plus(self, other: "Counts") -> "Counts":
        """Return the sum."""
        return Counts(self.good + other.good, self.bad + other.bad)


NONE = Counts()


class _Account:
    """The counts that were read and learned in one session.

    `client` are the subjects of the client, `domains` those of the open transaction. `known` has
    the counts of subjects as read, `learned` what the session adds to each.
    """

    __slots__ = ("bad", "client", "domains", "known", "learned")

    def __init__(self, client: Sequence[str]) -> None:
        self.client = client
        self.domains: Sequence[str] = ()
        self.known: dict[str, Counts] = {}
        self.learned: dict[str, Counts] = {}
        self.bad = 0.0

    @property
    def subjects(self) -> Sequence[str]:
        """The subjects of the open transaction, each as its part of the key."""
        return [*self.client, *self.domains]

    def learn(self, subjects: Sequence[str], good: float, bad: float) -> None:
        """Add points to subjects, within the limits of a session."""
        bad = min(bad, MOST_BAD - self.bad)
        self.bad += bad
        for one in subjects:
            if one in self.learned or len(self.learned) < MOST_KEPT:
                self.learned[one] = self.learned.get(one, NONE).plus(Counts(good, bad))

    def counts(self, subject: str) -> Counts:
        """Return the counts of a subject with those of this session."""
        known, learned = self.known.get(subject, NONE), self.learned.get(subject)
        return known if learned is None else known.plus(learned)


class Reputation(Plugin):
    """Gives points by what was learned about the client and its domains."""

    after = frozenset(
        {
            *("arc", "dkim", "dmarc", "dnsbl", "dnswl", "early_talker", "geo", "helo", "iprev"),
            *("p0f", "rhsbl", "sender_domain", "spf", "uribl"),
        }
    )

    class Options(Plugin.Options):
        """The events that count, for how long, and their effect."""

        subjects: tuple[Literal["network", "domain", "asn"], ...] = ("network", "domain")
        """What has a reputation: the network of the client, the domains for which SPF or DKIM has
        passed, the AS (from the plugin `geo`)."""
        half_life: Duration = Duration("7d")
        """The time after which what was learned counts half."""
        bad_points: float = 4.0
        """The most points against a message."""
        good_points: float = 2.0
        """The most points in favour of a message."""
        prior: float = 10.0
        """The evidence that gives half of the points. More makes the plugin more careful."""
        refuse: Reaction = Reaction("none")
        """The reaction to a subject whose share of bad points is at least `refuse_share`."""
        refuse_share: float = 0.9
        """The share of bad points from which `refuse` applies."""
        refuse_evidence: float = 30.0
        """The least good and bad points together for which `refuse` applies."""
        good_message: float = 1.0
        """Points for an accepted message that other plugins give less than `good_below` points."""
        good_below: float = 2.0
        """The points of other plugins from which an accepted message is not good."""
        spam: float = 5.0
        """Points against, for a message whose content a plugin refuses."""
        trap: float = 20.0
        """Points against, for a transaction with a trap."""
        unknown_recipient: float = 1.0
        """Points against, for a recipient that does not exist."""
        fault: float = 0.5
        """Points against, for a violation of the protocol."""
        listed: float = 2.0
        """Points against, for a message of a client that `dnsbl` has found."""
        ipv4_prefix: int = 24
        """The length of an IPv4 network that counts as one client."""
        ipv6_prefix: int = 64
        """The length of an IPv6 network that counts as one client."""
        exempt_clients: NetworkList = NetworkList(*INTERNAL)
        """Clients without a reputation."""

        def __post_init__(self) -> None:
            check_prefixes(self.ipv4_prefix, self.ipv6_prefix)
            if not 3600 <= self.half_life <= 366 * 86_400:
                raise ValueError("expected a half_life from 1h to 366d")
            if self.prior <= 0 or not 0 < self.refuse_share <= 1:
                raise ValueError("expected prior above 0, and refuse_share above 0, at most 1")
            numbers = (
                *(self.bad_points, self.good_points, self.refuse_evidence, self.good_message),
                *(self.spam, self.trap, self.unknown_recipient, self.fault, self.listed),
            )
            if min(numbers) < 0:
                raise ValueError("expected points of 0 or more")

    def on_mail(self, tx: Transaction, _sender: object) -> Later:
        """Judge the client, and the domain of the sender if SPF has passed."""
        account = self._account(tx.session)
        return None if account is None else self._judge(tx, account)

    def on_message(self, tx: MessageTransaction) -> Later:
        """Judge again if DKIM has authenticated another domain."""
        account = self._known_account(tx.session)
        if account is None or "dkim" not in tx.results:
            return None
        domains = account.domains
        return self._judge(tx, account) if domains != self._domains(tx) else None

    def _judge(self, tx: Transaction, account: _Account) -> Later:
        account.domains = self._domains(tx)
        missing = [one for one in account.subjects if one not in account.known]
        return self._read_and_decide(tx, account, missing) if missing else self._decide(tx, account)

    async def _read_and_decide(
        self, tx: Transaction, account: _Account, missing: Sequence[str]
    ) -> Decision | None:
        epoch = _decay.current(self.clock.time(), self.options.half_life)
        async with self.store.batch() as batch:
            read = {
                one: [batch.get(f"{epoch.number} {kind} {one}") for kind in Counts._fields]
                for one in missing
            }
        try:
            for one, pending in read.items():
                counts = [_number(each.value) / epoch.weight for each in pending]
                account.known[one] = Counts(*counts)
        except StoreError:
            self.metrics.counter("judged", result="temperror").inc()
            tx.results.replace(self.name, "temperror")
            return None
        return self._decide(tx, account)

    def _decide(self, tx: Transaction, account: _Account) -> Decision | None:
        """Add the result of all subjects; return the decision about the first that is refused."""
        found = {one: account.counts(one) for one in account.subjects}
        total = sum(map(self._points, found.values()))
        total = max(-self.options.good_points, min(self.options.bad_points, total))
        refused = next((one for one, counts in found.items() if self._is_refused(counts)), None)
        if refused is not None:
            total += self.options.refuse.score
        value = _word(total, found.values())
        shown = "; ".join(
            f"{one}: {counts.good:.1f} good, {counts.bad:.1f} bad" for one, counts in found.items()
        )
        tx.results.replace(self.name, value, score=round(total, 2), subjects=shown[:400])
        self.metrics.counter("judged", result=value).inc()
        if refused is None:
            return None
        text = f"Mail from {refused.partition(' ')[2]} has a bad reputation"
        return self.options.refuse.decide(text, reason="reputation")

    def _points(self, counts: Counts) -> float:
        """Return the points of one subject, negative in favour of it."""
        good, bad = counts
        share = (bad - good) / (good + bad + self.options.prior)
        return share * (self.options.bad_points if share > 0 else self.options.good_points)

    def _is_refused(self, counts: Counts) -> bool:
        good, bad = counts
        # As shown, with one digit: points decay within seconds, by less than a thousandth.
        if not bad or round(good + bad, 1) < self.options.refuse_evidence:
            return False
        return bad / (good + bad) >= self.options.refuse_share

    def after_message(self, tx: MessageTransaction, outcome: Outcome) -> None:
        """Learn about a message whose content is refused."""
        answer, account = outcome.answer, self._known_account(tx.session)
        if account is None or answer is None or answer.by in ("gatepost", self.name):
            return
        if answer.decision.verdict is Verdict.DENY:
            account.learn(account.subjects, 0.0, self.options.spam)

    def on_delivered(self, tx: Transaction) -> None:
        """Learn about a message that was accepted, and about its envelope."""
        account = self._known_account(tx.session)
        if account is not None and not self._learn_envelope(tx, account):
            own = tx.results.get(self.name)
            others = tx.results.score - (own.score if own else 0.0)
            if others < self.options.good_below and not _is_unchecked(tx):
                self._learn_good(tx, account)

    def _learn_good(self, tx: Transaction, account: _Account) -> None:
        """Learn about a good message; of a subject with plenty of them, about one in SAMPLE."""
        plenty = PLENTY * self.options.prior
        known = [one for one in account.subjects if account.counts(one).good >= plenty]
        new = [one for one in account.subjects if one not in known]
        account.learn(new, self.options.good_message, 0.0)
        if known and zlib.crc32(tx.id.encode()) % SAMPLE == 0:
            account.learn(known, SAMPLE * self.options.good_message, 0.0)

    def on_reset(self, tx: Transaction) -> None:
        """Learn about the envelope of a transaction without a message."""
        account = self._known_account(tx.session)
        if account is not None:
            self._learn_envelope(tx, account)

    def _learn_envelope(self, tx: Transaction, account: _Account) -> bool:
        """Learn about traps, unknown recipients and DNS lists; return whether mail is not good."""
        if tx.refused:
            unknown = sum(_is_unknown(one) for one in tx.refused)
            account.learn(account.client, 0.0, unknown * self.options.unknown_recipient)
        if any(hit.is_evidence for hit in tx.trap_hits):
            account.learn(account.subjects, 0.0, self.options.trap)
        is_listed = tx.results.value("dnsbl") == "listed"
        if is_listed:
            account.learn(account.client, 0.0, self.options.listed)
        return is_listed or bool(tx.trap_hits)

    def on_fault(self, session: Session, _tx: Transaction | None, _reply: Reply) -> None:
        """Learn about a violation of the protocol."""
        account = self._account(session)
        if account is not None:
            account.learn(account.client, 0.0, self.options.fault)

    def on_early_talker(self, session: Session, reply: Reply) -> None:
        """Learn about a client that does not wait for the greeting."""
        self.on_fault(session, None, reply)

    async def on_disconnect(self, session: Session) -> None:
        """Write what was learned in the session."""
        account = self._known_account(session)
        if account is None:
            return
        epochs = list(_decay.written(self.clock.time(), self.options.half_life))
        async with self.store.batch() as batch:
            for subject, counts in account.learned.items():
                for kind, points in zip(Counts._fields, counts, strict=True):
                    for epoch in epochs if points else ():
                        by = max(1, round(points * epoch.weight))
                        batch.incr(f"{epoch.number} {kind} {subject}", by, ttl=epoch.ttl)

    def _known_account(self, session: Session) -> _Account | None:
        """Return the account of a session, None without one, and of an authenticated client."""
        return None if session.auth is not None else session.notes.get(self.name)

    def _account(self, session: Session) -> _Account | None:
        """Return the account of a session, None for a client without a reputation."""
        account: _Account | None = session.notes.get(self.name)
        if account is None or session.auth is not None:
            if is_trusted(session, self.options.exempt_clients):
                return None
            account = session.notes[self.name] = _Account(list(self._client(session)))
        return account

    def _client(self, session: Session) -> Iterator[str]:
        """Yield the subjects that are known of a client."""
        options = self.options
        if "network" in options.subjects:
            host = session.peer.host
            yield f"network {client_network(host, options.ipv4_prefix, options.ipv6_prefix)}"
        geo = session.results.get("geo") if "asn" in options.subjects else None
        if geo is not None and geo.facts.get("asn"):
            yield f"asn {geo.facts['asn']}"

    def _domains(self, tx: Transaction) -> Sequence[str]:
        """Return the domains for which SPF or DKIM has passed, each once."""
        if "domain" not in self.options.subjects:
            return ()
        found = {spf_domain(tx): None}
        if "dkim" in tx.results:
            signed = [one for one in tx.results.all("dkim") if one.value == "pass"]
            found |= {str(one.facts.get("domain", "")).lower(): None for one in signed}
        return [f"domain {one}" for one in found if one][:MOST_DOMAINS]


def _is_unchecked(tx: Transaction) -> bool:
    """Return whether a check of the message had no answer: then nothing proves that it is good."""
    return any(one.value == "temperror" for one in tx.results)


def _is_unknown(rcpt: Recipient) -> bool:
    return rcpt.reply is not None and rcpt.reply.enhanced == "5.1.1"


def _word(points: float, counts: Iterable[Counts]) -> str:
    if points:
        return "bad" if points > 0 else "good"
    return "neutral" if any(map(sum, counts)) else "unknown"


def _number(value: str | int | None) -> int:
    """Return a counter of the store; anything else was not written by this plugin."""
    return value if isinstance(value, int) else 0
