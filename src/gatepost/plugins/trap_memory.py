"""Remember who has hit a trap, and mark or refuse their next messages.

Most spam names one recipient in a message, so the trap rule alone stops little of it. This plugin
remembers the network of a stranger that has hit a trap, and its domain if SPF has proven it. For
seven days further mail of strangers from there is marked.

Theory of operation
-------------------
A hit writes the time to one key for each network and domain (`gatepost.traps.memory`). MAIL reads
these keys in one batch. Networks that many organisations share are never remembered: those of a
shipped list of providers, and those in which the store has seen enough domains for 30 days
(`gatepost.traps.shared`).

Trusts: only domains that SPF has proven, and DKIM together with SPF from a shared network. Limits:
without the store nothing is remembered, and nothing is marked.
"""

import json
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from gatepost import (
    Address,
    Decision,
    Duration,
    MessageTransaction,
    NetworkList,
    Plugin,
    Reaction,
    StoreError,
    Transaction,
)
from gatepost.lists.providers import load_providers
from gatepost.plugins._addresses import INTERNAL, is_trusted, parse_address
from gatepost.plugins._subjects import Cluster, is_stranger, set_cluster, spf_domain
from gatepost.traps.memory import (
    Lifetimes,
    Recall,
    domain_key_of,
    is_proven,
    judge,
    network_keys,
)
from gatepost.traps.shared import SeenDomain, SharedRule

_NOTE = "trap_memory"
# A hit of this session; the store need not have it yet.
_HIT = "trap_memory hit"


class _Sender(NamedTuple):
    """The facts about the sender of a transaction at MAIL."""

    keys: tuple[str, ...]
    network: str
    seen: Mapping[str, SeenDomain]
    recall: Recall


class TrapMemory(Plugin):
    """Adds the result `trap_memory`, and marks or refuses messages of strangers at their end."""

    after = frozenset({"spf", "iprev", "standing"})
    before = frozenset({"score"})

    class Options(Plugin.Options):
        """The times for which a hit counts, and its effects."""

        mark_for: Duration = Duration("7d")
        """How long after a hit messages are marked."""
        refuse_for: Duration = Duration("24h")
        """How long after a hit `refuse` applies."""
        marked: Reaction = Reaction(3)
        """The reaction to a message within `mark_for`. Points go to `score`."""
        refuse: Reaction = Reaction("none")
        """The reaction at the end of a message within `refuse_for`."""
        header: str = "X-Trap-Memory"
        """The header field of a marked message, "" for none."""
        exempt_clients: NetworkList = NetworkList(*INTERNAL)
        """Clients that are neither remembered nor marked."""

    def start(self) -> None:
        """Load the list of providers."""
        self._providers = load_providers()
        self._lifetimes = Lifetimes(self.options.mark_for, self.options.refuse_for)
        self._rule = SharedRule()

    async def on_mail(self, tx: Transaction, _sender: Address) -> None:
        """Look the sender up."""
        address = parse_address(tx.session.peer.host)
        if address is None or is_trusted(tx.session, self.options.exempt_clients):
            return
        networks, domain = network_keys(address), spf_domain(tx)
        domains = (domain_key_of(domain),) if domain else ()
        try:
            times, seen = await self._look_up((*networks, *domains), networks[0])
        except StoreError:
            tx.results.add("trap_memory", "unknown", reason="the store is unavailable")
            return
        now = self.clock.time()
        is_shared = self._is_shared(tx, address, seen, now)
        proven = is_proven(spf_aligned=bool(domain), dkim_aligned=False, shared_network=is_shared)
        keys = (() if is_shared else networks) + (domains if proven else ())
        hits = [times[key] for key in keys if key in times]
        hits += [now] if tx.session.notes.get(_HIT) else []
        recall = judge(now, hits, self._lifetimes)
        tx.notes[_NOTE] = _Sender(keys, networks[0], seen, recall)
        set_cluster(tx, Cluster(keys, networks[0]))
        self._add(tx, recall)

    async def _look_up(
        self, keys: Sequence[str], network: str
    ) -> tuple[dict[str, float], dict[str, SeenDomain]]:
        """Return the times of the last hits, and the domains of the network; raises StoreError."""
        async with self.store.batch() as batch:
            hits = [(key, batch.get(key)) for key in keys]
            shared = batch.get(f"shared {network}")
        times = {key: float(one.value) for key, one in hits if isinstance(one.value, int)}
        return times, _read(shared.value)

    def _is_shared(
        self,
        tx: Transaction,
        address: IPv4Address | IPv6Address,
        seen: Mapping[str, SeenDomain],
        now: float,
    ) -> bool:
        iprev = tx.results.get("iprev")
        passed = iprev is not None and iprev.value == "pass"
        name = str(iprev.facts.get("name", "")) if iprev is not None and passed else ""
        return self._providers.covers(address, name) or self._rule.is_shared(now, seen.values())

    def _add(self, tx: Transaction, recall: Recall) -> None:
        if not recall.marks or not is_stranger(tx):
            return
        age = _age(recall.age or 0)
        reason = f"a trap was hit from there {age} ago"
        score = self.options.marked.score
        tx.results.add("trap_memory", "marked", reason=reason, score=score)
        self.metrics.counter("marked").inc()

    async def on_message(self, tx: MessageTransaction) -> Decision | None:
        """Mark the message, or refuse it if the options do."""
        options = self.options
        if options.header:
            tx.message.remove_header(options.header)
        sender: _Sender | None = tx.notes.get(_NOTE)
        if sender is None or not sender.recall.marks or not is_stranger(tx):
            return None
        if sender.recall.refuses:
            decision = options.refuse.decide(
                "Message refused by local policy", reason="trap-memory"
            )
            if decision is not None:
                return decision
        decision = options.marked.decide("Message refused by local policy", reason="trap-memory")
        if decision is None and options.header:
            tx.message.add_header(options.header, f"hit {_age(sender.recall.age or 0)} ago")
        return decision

    async def on_reset(self, tx: Transaction) -> None:
        """Remember a hit of a transaction that ended without a message."""
        await self._learn(tx)

    async def on_delivered(self, tx: MessageTransaction) -> None:
        """Remember a hit, as in shadow mode of the traps, and a domain that sent good mail."""
        await self._learn(tx)
        sender: _Sender | None = tx.notes.get(_NOTE)
        domain = _proven_domain(tx)
        if sender is None or not domain or tx.trap_hits:
            return
        seen = self._rule.with_mail(self.clock.time(), sender.seen, domain)
        text = json.dumps({name: [int(one.first), int(one.last)] for name, one in seen.items()})
        try:
            ttl = self._rule.age + self._rule.recent
            await self.store.set(f"shared {sender.network}", text, ttl=ttl)
        except (StoreError, ValueError):  # a text over the limit of the store
            self.metrics.counter("not_recorded").inc()

    async def _learn(self, tx: Transaction) -> None:
        sender: _Sender | None = tx.notes.get(_NOTE)
        if sender is None or tx.results.value("standing") == "trusted":
            return
        if not any(hit.is_evidence for hit in tx.trap_hits):
            return
        tx.session.notes[_HIT] = True
        now = int(self.clock.time())
        try:
            async with self.store.batch() as batch:
                ttl = self._lifetimes.longest
                written = [batch.set(key, now, ttl=ttl) for key in sender.keys]
            for one in written:
                one.value  # noqa: B018 - raises the error of the operation
            self.metrics.counter("hits").inc()
        except StoreError:
            self.metrics.counter("not_recorded").inc()


def _proven_domain(tx: Transaction) -> str:
    """Return the domain that SPF or DMARC has proven, "" without one."""
    dmarc = tx.results.get("dmarc")
    if dmarc is not None and dmarc.value == "pass":
        return str(dmarc.facts.get("organizational_domain") or dmarc.facts.get("domain", ""))
    return spf_domain(tx)


def _read(value: object) -> dict[str, SeenDomain]:
    """Return the domains of a network as the store has them; what cannot be read is none."""
    try:
        found = json.loads(value) if isinstance(value, str) else {}
        return {str(name): SeenDomain(float(a), float(b)) for name, (a, b) in found.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _age(seconds: float) -> str:
    hours = int(seconds // 3600)
    if hours < 1:
        return "less than an hour"
    number, unit = (hours, "hour") if hours < 48 else (hours // 24, "day")
    return f"{number} {unit}{'' if number == 1 else 's'}"
