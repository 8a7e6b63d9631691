"""Limit messages, recipients, connections and octets by client, user, sender or recipient.

Theory of operation
-------------------
A rule has a token bucket in the store for each subject. What happens is counted before it takes
effect: a message before its content, a recipient before the reply. So parallel sessions cannot
exceed a limit together. All buckets of a stage are one batch. Tokens are not given back: an attempt
that is refused later has counted.

Unknown recipients are refused by the core, which no plugin can change. They are counted after the
reply. While the bucket has no token, MAIL of the same subject is refused.

Limits: one batch for each stage. During an outage of the store each worker counts alone.
"""

import math
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from gatepost import (
    Decision,
    MessageTransaction,
    NetworkList,
    Outcome,
    Plugin,
    Reaction,
    Recipient,
    Session,
    Size,
    StoreError,
    Transaction,
)
from gatepost.plugins._addresses import INTERNAL, is_trusted
from gatepost.plugins._limits import OF_CLIENT, OF_RECIPIENT, check_names, subject_of
from gatepost.plugins._rates import Rate, parse_rate
from gatepost.plugins._subjects import in_words

Counted = Literal["connections", "messages", "recipients", "octets", "bad_recipients"]
By = Literal[
    "address",
    "network",
    "asn",
    "user",
    "sender",
    "sender_domain",
    "recipient",
    "recipient_domain",
]
Later = Decision | None | Awaitable[Decision | None]

# The texts for the client, and the parts that are not known when this is counted.
_TEXTS: Mapping[str, str] = {
    "connections": "Too many connections",
    "messages": "Too many messages",
    "recipients": "Too many recipients",
    "octets": "Too much data",
    "bad_recipients": "Too many unknown recipients",
}
_UNKNOWN_PARTS: Mapping[str, Sequence[str]] = {
    "connections": ("user", "sender", "sender_domain", *OF_RECIPIENT),
    "messages": OF_RECIPIENT,
    "octets": OF_RECIPIENT,
    "recipients": (),
    "bad_recipients": OF_RECIPIENT,
}
# The core's reasons for which a recipient counts as unknown.
_UNKNOWN = ("unknown-recipient", "relay-denied")
# The smallest number of tokens that can be taken.
_NOTHING = 1e-9


class Rule(Plugin.Options):
    """One limit. With an empty `by` it is one for all."""

    name: str
    rate: str
    by: tuple[By, ...] = ()
    count: Counted = "recipients"
    burst: Size = Size(0)
    reaction: Reaction = Reaction("defer")

    def __post_init__(self) -> None:
        self._check_parts()
        try:
            parsed = self.parsed
        except ValueError as error:
            raise ValueError(f"rate: {error}") from None
        if not self.burst:
            self.burst = Size(parsed.most)

    def _check_parts(self) -> None:
        for part in self.by:
            if part in _UNKNOWN_PARTS[self.count]:
                raise ValueError(f'by: "{part}" is not known when {self.count} are counted')

    @property
    def parsed(self) -> Rate:
        """The rate."""
        return parse_rate(self.rate, octets=self.count == "octets")

    @property
    def trusts(self) -> bool:
        """Return whether authenticated clients and those of your networks have no limit.

        That is so if the rule is about clients and not about users.
        """
        return "user" not in self.by and any(part in OF_CLIENT for part in self.by)

    def retry(self, seconds: float) -> Decision | None:
        """Return the decision about a subject that has to wait."""
        ends = self.count in ("connections", "bad_recipients")
        text = f"{_TEXTS[self.count]}, try again {in_words(seconds)}"
        return self.reaction.decide(text, reason="rate-limit", disconnect=ends)


class RateLimit(Plugin):
    """Refuses, defers or counts what exceeds a rule."""

    after = frozenset(
        {
            *("dnsbl", "dnswl", "early_talker", "geo", "greylist", "helo", "iprev", "p0f"),
            *("reputation", "rhsbl", "sender_domain", "spf"),
        }
    )

    keeps_decisions = True

    class Options(Plugin.Options):
        """The rules, and the clients that those about clients leave out."""

        rules: tuple[Rule, ...]
        """The limits, each a table; see [Rules](#rules)."""
        exempt_clients: NetworkList = NetworkList(*INTERNAL)
        """Clients that have no limit by address, network or asn."""

        def __post_init__(self) -> None:
            check_names([one.name for one in self.rules])

    def on_connect(self, session: Session) -> Later:
        """Count a connection."""
        due = self._due("connections", self.options, session)
        return self._take(due, session) if due else None

    def on_mail(self, tx: Transaction, _sender: object) -> Later:
        """Refuse a subject that has named too many unknown recipients."""
        due = self._due("bad_recipients", self.options, tx.session, tx)
        return self._look(due, tx) if due else None

    def on_rcpt(self, tx: Transaction, rcpt: Recipient) -> Later:
        """Count a recipient that the core accepts."""
        due = self._due("recipients", self.options_for(rcpt), tx.session, tx, rcpt)
        return self._take(due, tx) if due else None

    def after_rcpt(
        self, tx: Transaction, rcpt: Recipient, outcome: Outcome
    ) -> Awaitable[None] | None:
        """Count an unknown recipient."""
        answer = outcome.answer
        if answer is None or answer.by != "gatepost" or answer.decision.reason not in _UNKNOWN:
            return None
        due = self._due("bad_recipients", self.options, tx.session, tx, rcpt)
        return self._count(due) if due else None

    def on_data(self, tx: Transaction) -> Later:
        """Count a message that has recipients."""
        due = self._due("messages", self.options, tx.session, tx)
        return self._take(due, tx) if due else None

    def on_message(self, tx: MessageTransaction) -> Later:
        """Count the octets of a message."""
        due = self._due("octets", self.options, tx.session, tx)
        return self._take(due, tx, tx.message.size) if due else None

    def _due(
        self,
        count: Counted,
        options: Options,
        session: Session,
        tx: Transaction | None = None,
        rcpt: Recipient | None = None,
    ) -> list["_Due"]:
        """Return the rules that apply, each with its key."""
        due = []
        for rule in options.rules:
            if rule.count == count and not (
                rule.trusts and is_trusted(session, options.exempt_clients)
            ):
                subject = subject_of(rule.by, session, tx, rcpt)
                if subject is not None:
                    due.append(_Due(rule, f"{rule.name} {subject}"))
        return due

    async def _take(
        self, due: list["_Due"], about: Session | Transaction, cost: float = 1
    ) -> Decision | None:
        """Take tokens for each rule; return the first decision about one that has too few."""
        async with self.store.batch() as batch:
            # A message that is larger than the bucket takes all of it.
            taken = [
                batch.take(
                    one.key,
                    rate=one.rule.parsed.per_second,
                    burst=one.rule.burst,
                    cost=max(1, min(cost, one.rule.burst)),
                )
                for one in due
            ]
        return self._decide(due, taken, about)

    async def _look(self, due: list["_Due"], tx: Transaction) -> Decision | None:
        """Do as `_take`, but leave the tokens in the buckets."""
        async with self.store.batch() as batch:
            # Of a bucket without one token less, nothing is taken.
            taken = [
                batch.take(
                    one.key,
                    rate=one.rule.parsed.per_second,
                    burst=one.rule.burst - 1 + _NOTHING,
                    cost=_NOTHING,
                )
                for one in due
            ]
        return self._decide(due, taken, tx)

    async def _count(self, due: list["_Due"]) -> None:
        """Take a token for each rule, if there is one left."""
        async with self.store.batch() as batch:
            for one in due:
                batch.take(one.key, rate=one.rule.parsed.per_second, burst=one.rule.burst)

    def _decide(
        self, due: list["_Due"], taken: Sequence[Any], about: Session | Transaction
    ) -> Decision | None:
        decisions = []
        for one, pending in zip(due, taken, strict=True):
            try:
                wait = pending.value.retry_after
            except StoreError:  # the key holds something else
                self.metrics.counter("failed").inc()
                continue
            if wait:
                self._report(one.rule, wait, about)
                decisions.append(one.rule.retry(wait))
        return next(filter(None, decisions), None)

    def _report(self, rule: Rule, wait: float, about: Session | Transaction) -> None:
        """Add the result of a rule that is exceeded, once for each message or session."""
        self.metrics.counter("exceeded", rule=rule.name).inc()
        if not any(one.facts["rule"] == rule.name for one in about.results.all(self.name)):
            seconds, score = math.ceil(wait), rule.reaction.score
            about.results.add(self.name, "exceeded", rule=rule.name, wait=seconds, score=score)


class _Due(NamedTuple):
    """A rule that applies, and the key of its bucket."""

    rule: Rule
    key: str
