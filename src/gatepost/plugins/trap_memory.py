"""Remember who has hit a trap, and mark or refuse their next messages.

Most spam names one recipient in a message, so the trap rule alone stops little of it. This plugin
remembers the network of a stranger that has hit a trap, and its domain if SPF has proven it. For
seven days further mail of strangers from there is marked.

Theory of operation
-------------------
A hit writes the time to one key for each network and domain (`gatepost.traps.memory`). MAIL reads
these keys in one batch; a worker uses what it has read for some seconds. Networks that many
organisations share are never remembered: those of a shipped list of providers, and those in which
the store has seen enough domains for 30 days (`gatepost.traps.shared`).

Trusts: only domains that SPF has proven, and DKIM together with SPF from a shared network. Limits:
without the store nothing is remembered, and nothing is marked.
"""

import json
from collections.abc import Awaitable, Mapping, Sequence
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
from gatepost.plugins._recent import Recent
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
# How long a worker uses what it has read, in seconds: hits of other workers are seen after that.
RECENT_HITS = 5.0
# The time within which further hits of a sender are not written, in seconds.
REMEMBERED = 60.0
# It takes days until a network is shared.
RECENT_DOMAINS = 600.0
_DAY = 86400.0
# The time of the last hit, for a key without one.
_NEVER = -1.0
# A hit of this session; the store need not have it yet.
_HIT = "trap_memory hit"


class _Client(NamedTuple):
    """The address of a client, the keys of its networks, and all keys with the proven domain's."""

    address: IPv4Address | IPv6Address
    networks: tuple[str, ...]
    keys: tuple[str, ...]


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
        self._hits: Recent[float] = Recent(RECENT_HITS)
        self._remembered: Recent[bool] = Recent(REMEMBERED)
        self._seen: Recent[Mapping[str, SeenDomain]] = Recent(RECENT_DOMAINS)

    def on_mail(self, tx: Transaction, _sender: Address) -> Awaitable[None] | None:
        """Look the sender up, in the store unless this worker has just done it."""
        address = parse_address(tx.session.peer.host)
        if address is None or is_trusted(tx.session, self.options.exempt_clients):
            return None
        networks, domain, now = network_keys(address), spf_domain(tx), self.clock.time()
        keys = (*networks, domain_key_of(domain)) if domain else networks
        client = _Client(address, networks, keys)
        if any(self._hits.get(key, now) is None for key in keys) or (
            self._seen.get(networks[0], now) is None
        ):
            return self._read_and_judge(tx, client, now)
        self._judge(tx, client, now)
        return None

    async def _read_and_judge(self, tx: Transaction, client: "_Client", now: float) -> None:
        try:
            await self._read(client, now)
        except StoreError:
            tx.results.add("trap_memory", "unknown", reason="the store is unavailable")
            return
        self._judge(tx, client, now)

    async def _read(self, client: "_Client", now: float) -> None:
        """Read the times of the last hits, and the domains of the network; raises StoreError."""
        network = client.networks[0]
        is_new = self._seen.get(network, now) is None
        async with self.store.batch() as batch:
            hits = [(key, batch.get(key)) for key in client.keys]
            shared = batch.get(f"shared {network}") if is_new else None
        for key, one in hits:
            self._hits.put(key, float(one.value) if isinstance(one.value, int) else _NEVER, now)
        if shared is not None:
            self._seen.put(network, _domains(shared.value), now)

    def _judge(self, tx: Transaction, client: "_Client", now: float) -> None:
        networks, network = client.networks, client.networks[0]
        seen = self._seen.get(network, now) or {}
        is_shared = self._is_shared(tx, client.address, seen, now)
        domains = client.keys[len(networks) :]
        proven = is_proven(spf_aligned=bool(domains), dkim_aligned=False, shared_network=is_shared)
        keys = (() if is_shared else networks) + (domains if proven else ())
        times = (self._hits.get(key, now) for key in keys)
        hits = [one for one in times if one is not None and one != _NEVER]
        hits += [now] if tx.session.notes.get(_HIT) else []
        recall = judge(now, hits, self._lifetimes)
        tx.notes[_NOTE] = _Sender(keys, network, seen, recall)
        set_cluster(tx, Cluster(keys, network))
        self._add(tx, recall)

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

    def on_message(self, tx: MessageTransaction) -> Decision | None:
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
        if options.header and (decision is None or not decision.refuses):
            tx.message.add_header(options.header, f"hit {_age(sender.recall.age or 0)} ago")
        return decision

    def on_reset(self, tx: Transaction) -> Awaitable[None] | None:
        """Remember a hit of a transaction that ended without a message."""
        return self._learn(tx) if tx.trap_hits else None

    def on_delivered(self, tx: MessageTransaction) -> Awaitable[None] | None:
        """Remember a hit, as in shadow mode of the traps, and a domain that sent good mail."""
        sender: _Sender | None = tx.notes.get(_NOTE)
        if sender is None:
            return None
        if tx.trap_hits:
            return self._learn(tx)
        now, domain = self.clock.time(), _proven_domain(tx)
        known = sender.seen.get(domain)
        is_due = bool(domain) and (known is None or now - known.last >= _DAY)
        return self._record_domain(sender, domain, now) if is_due else None

    async def _record_domain(self, sender: _Sender, domain: str, now: float) -> None:
        """Record that a domain sends good mail from a network, once a day."""
        seen = self._rule.with_mail(now, sender.seen, domain)
        self._seen.put(sender.network, seen, now)
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
        self.metrics.counter("hits").inc()
        now = int(self.clock.time())
        for key in sender.keys:
            self._hits.put(key, float(now), now)
        new = [key for key in sender.keys if self._remembered.get(key, now) is None]
        if new:
            await self._remember(new, now)

    async def _remember(self, keys: Sequence[str], now: int) -> None:
        """Write the time of a hit, unless this worker has written one a moment ago."""
        try:
            async with self.store.batch() as batch:
                ttl = self._lifetimes.longest
                written = [batch.set(key, now, ttl=ttl) for key in keys]
            for key, one in zip(keys, written, strict=True):
                one.value  # noqa: B018 - raises the error of the operation
                self._remembered.put(key, value=True, now=now)
        except StoreError:
            self.metrics.counter("not_recorded").inc()


def _proven_domain(tx: Transaction) -> str:
    """Return the domain that SPF or DMARC has proven, "" without one."""
    dmarc = tx.results.get("dmarc")
    if dmarc is not None and dmarc.value == "pass":
        return str(dmarc.facts.get("organizational_domain") or dmarc.facts.get("domain", ""))
    return spf_domain(tx)


def _domains(value: object) -> dict[str, SeenDomain]:
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
