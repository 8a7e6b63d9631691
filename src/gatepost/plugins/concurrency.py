"""Limit simultaneous connections by user, client network or AS, over all workers and machines.

Theory of operation
-------------------
Time is divided into periods. The store has a counter for each subject and period. Each worker adds
its sessions to the counter of a period once before the period begins, and adjusts it when a session
begins or ends. So a counter has all sessions of all workers that run, and those of a killed
worker disappear with the next period but one. An outage of the store, or a store that was emptied,
is repaired in the same way.

A session is counted at connect, or, by a rule with users, at MAIL. The plugin keeps weak
references to what it has counted: a session that ends without a notice is not announced again.

Limits: a wrong count lasts for at most two periods. The clocks of machines must agree within half a
period. During an outage of the store each worker counts alone.
"""

from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from typing import Literal
from weakref import WeakSet

from gatepost import (
    Decision,
    Duration,
    NetworkList,
    Plugin,
    Reaction,
    Session,
    StoreError,
    Transaction,
)
from gatepost.plugins._addresses import INTERNAL, is_trusted
from gatepost.plugins._limits import OF_CLIENT, check_names, subject_of

By = Literal["address", "network", "asn", "user"]
Later = Decision | None | Awaitable[Decision | None]

# Keys in one batch of announcements.
_CHUNK = 500


class Rule(Plugin.Options):
    """One limit. With an empty `by` it is one for all clients."""

    name: str
    most: int
    by: tuple[By, ...] = ()
    reaction: Reaction = Reaction("defer")

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError(f"most: expected at least 1, found {self.most}")

    @property
    def at_mail(self) -> bool:
        """Return whether its sessions are counted at MAIL, when the user is known."""
        return "user" in self.by

    @property
    def trusts(self) -> bool:
        """Return whether clients of your networks have no limit: the rule is not about users."""
        return not self.at_mail and any(part in OF_CLIENT for part in self.by)


class _Held:
    """The keys under which one session is counted; it ends with the session."""

    __slots__ = ("__weakref__", "keys")

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}


class Concurrency(Plugin):
    """Counts sessions, and refuses, defers or marks those over a limit."""

    after = frozenset({"dnsbl", "dnswl", "early_talker", "geo", "iprev", "p0f", "rate_limit"})

    keeps_decisions = True

    class Options(Plugin.Options):
        """The rules, and how often workers announce their sessions."""

        rules: tuple[Rule, ...]
        """The limits, each a table; see [Rules](#rules)."""
        period: Duration = Duration("1m")
        """How often a worker announces its sessions. The sessions of a killed worker count for at
        most two periods more."""
        exempt_clients: NetworkList = NetworkList(*INTERNAL)
        """Clients that have no limit by address, network or asn."""

        def __post_init__(self) -> None:
            check_names([one.name for one in self.rules])
            if not 10 <= self.period <= 3600:
                raise ValueError("expected a period from 10s to 1h")

    def start(self) -> None:
        """Announce the sessions in each period."""
        self._held: WeakSet[_Held] = WeakSet()
        self._announced = -1
        self.every(self.options.period, self._announce)

    def on_connect(self, session: Session) -> Later:
        """Count a session for the rules about clients."""
        return self._enter(session, session, at_mail=False)

    def on_mail(self, tx: Transaction, _sender: object) -> Later:
        """Count a session for the rules about users, at its first message."""
        return self._enter(tx.session, tx, at_mail=True)

    async def on_disconnect(self, session: Session) -> None:
        """Remove a session from the counters."""
        held = session.notes.pop(self.name, None)
        if held is not None:
            self._held.discard(held)
            await self._add(list(held.keys.values()), -1)

    def _enter(self, session: Session, about: Session | Transaction, *, at_mail: bool) -> Later:
        """Return the rules that begin to count a session to `_count`, if there are any."""
        trusted = is_trusted(session, self.options.exempt_clients)
        held = session.notes.get(self.name)
        due = {}
        for rule in self.options.rules:
            if rule.at_mail == at_mail and not (trusted and rule.trusts):
                subject = subject_of(rule.by, session)
                if subject is not None and not (held and rule.name in held.keys):
                    due[rule.name] = f"{rule.name} {subject}"
        return self._count(session, about, due) if due else None

    async def _count(
        self, session: Session, about: Session | Transaction, due: Mapping[str, str]
    ) -> Decision | None:
        if self._announced < self._now:
            await self._announce_until(self._now)
        held = session.notes.setdefault(self.name, _Held())
        held.keys.update(due)
        self._held.add(held)
        counts = await self._add(list(due.values()), 1)
        for rule in self.options.rules:
            if rule.name in due and counts[due[rule.name]] > rule.most:
                self._report(rule, counts[due[rule.name]], about)
                decision = rule.reaction.decide(
                    "Too many simultaneous connections, try again later", reason="concurrency"
                )
                if decision and decision.refuses:
                    await self._release(held, due)
                if decision:
                    return decision
        return None

    async def _release(self, held: _Held, due: Mapping[str, str]) -> None:
        """Remove what was counted for a session that is refused: it may try again."""
        for name in due:
            held.keys.pop(name, None)
        await self._add(list(due.values()), -1)

    def _report(self, rule: Rule, count: int, about: Session | Transaction) -> None:
        self.metrics.counter("exceeded", rule=rule.name).inc()
        score = rule.reaction.score
        about.results.add(self.name, "exceeded", rule=rule.name, count=count, score=score)

    @property
    def _now(self) -> int:
        """The number of the current period."""
        return int(self.clock.time() // self.options.period)

    async def _announce(self) -> None:
        await self._announce_until(self._now + 1)

    async def _announce_until(self, last: int) -> None:
        """Add the sessions of this worker to the counters of periods that lack them."""
        first = max(self._announced + 1, self._now)
        self._announced = max(self._announced, last)
        counts = Counter(key for held in self._held for key in held.keys.values())
        rows = [
            (f"{period} {key}", count)
            for period in range(first, last + 1)
            for key, count in counts.items()
        ]
        for start in range(0, len(rows), _CHUNK):
            async with self.store.batch() as batch:
                for key, count in rows[start : start + _CHUNK]:
                    batch.incr(key, count, ttl=3 * self.options.period)

    async def _add(self, keys: Sequence[str], by: int) -> Mapping[str, int]:
        """Add to the counters of this period, and of the next one if it has been announced.

        Return those of this period by key; one that cannot be counted is 0.
        """
        async with self.store.batch() as batch:
            added = {
                (period, key): batch.incr(f"{period} {key}", by, ttl=3 * self.options.period)
                for period in range(self._now, self._announced + 1)
                for key in keys
            }
        counts = dict.fromkeys(keys, 0)
        for (period, key), pending in added.items():
            if period == self._now:
                with suppress(StoreError):
                    counts[key] = pending.value
        return counts
