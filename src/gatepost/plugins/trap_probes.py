"""Recognise clients that search for traps by ever smaller sets of recipients.

A refusal because of a trap shows that one of the recipients is a trap. With halves of the set a
client finds it in a few messages. This plugin recognises such chains (`gatepost.traps.bisecting`),
names the traps that are exposed, and remembers the networks and proven domains of such clients for
30 days. With `refuse` all their messages get the refusal of a trap, with or without a trap, so that
they find out nothing more.

Theory of operation
-------------------
MAIL reads the flags of the sender and the last number of the journal, in one batch; a worker uses
what it has read for some seconds. After the reply the transaction is compared with the suspicious
sets in the memory of the worker. One that matters is written to the journal, and each worker
observes the same entries in the same order. Other transactions write nothing.

By default nothing is refused: a wrong flag would refuse all mail of strangers from a network for a
month, and the administrator should see some flags first. The exposed traps are the more important
result.

Trusts: the networks and domains that `trap_memory` holds responsible, so never a shared network.
Senders with a standing and clients that have authenticated are not observed. Limits: the journal
is in the store; without it there are neither flags nor findings.
"""

import hashlib
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from secrets import token_hex
from typing import NamedTuple

import msgspec

from gatepost import (
    Address,
    Decision,
    Duration,
    Headers,
    MessageTransaction,
    Outcome,
    Plugin,
    Recipient,
    StoreError,
    Transaction,
)
from gatepost.plugins._journal import LAST, Journal
from gatepost.plugins._recent import Recent
from gatepost.plugins._subjects import Cluster, cluster_of, is_stranger
from gatepost.traps.bisecting import KEPT, MOST_RECIPIENTS, Bisecting, Finding, Probe
from gatepost.traps.senders import is_robot
from gatepost.traps.verdicts import TrapClass, Treatment

# How long a worker uses what it has read, in seconds.
RECENT = 5.0
_NOTE = "trap_probes"
# Whether a trap has refused the message; None, or absent, if the client cannot see it.
_REFUSED = "trap_probes refused"
# Octets of the traps in an entry of the journal: with the recipients it must fit into a value.
_MOST_OCTETS = 600
# Own entries that were appended and not read yet.
_MOST_AWAITED = 100


class _Read(NamedTuple):
    """The state in the store at MAIL: the last number of the journal, whether there is a flag."""

    last: int
    is_flagged: bool


class _Entry(msgspec.Struct, frozen=True):
    """An entry of the journal: a probe, and a name by which its worker finds the transaction."""

    name: str
    probe: Probe


class TrapProbes(Plugin):
    """Adds the result `trap_probes`, and refuses messages from flagged networks if it may."""

    requires = frozenset({"trap_memory"})
    after = frozenset({"spf", "standing", "trap_memory"})
    before = frozenset({"score", "reputation"})

    class Options(Plugin.Options):
        """The effect of a flag."""

        refuse: bool = False
        """Whether messages of strangers from flagged networks and domains are refused."""
        flag_for: Duration = Duration("30d")
        """How long a network or domain stays flagged."""

    def start(self) -> None:
        """Begin without sets; the first read of the journal has those of the last week."""
        self._sets = Bisecting()
        self._journal = Journal(KEPT)
        self._recent: Recent[_Read] = Recent(RECENT)
        self._awaited: dict[str, Transaction] = {}

    def on_mail(self, tx: Transaction, _sender: Address) -> Awaitable[None] | None:
        """Look up the flags of the sender: in place, if this worker has just read them."""
        cluster = cluster_of(tx)
        if cluster is None or not is_stranger(tx):
            return None
        read = self._recent.get(" ".join(cluster.keys), self.clock.time())
        if read is None:
            return self._read_flags(tx, cluster)
        self._add(tx, read)
        return None

    async def _read_flags(self, tx: Transaction, cluster: Cluster) -> None:
        try:
            async with self.store.batch() as batch:
                last = batch.get(LAST)
                flags = [batch.get(f"flag {key}") for key in cluster.keys]
            number = last.value if isinstance(last.value, int) else 0
            read = _Read(number, any(one.value is not None for one in flags))
        except StoreError:
            return
        self._recent.put(" ".join(cluster.keys), read, self.clock.time())
        self._add(tx, read)

    def _add(self, tx: Transaction, read: _Read) -> None:
        tx.notes[_NOTE] = read
        if read.is_flagged:
            reason = "traps were searched for from there"
            tx.results.add("trap_probes", "flagged", reason=reason)

    def on_data(self, tx: Transaction) -> Decision | None:
        """Refuse a message from a flagged network, as traps do by default."""
        return None if self.server.trap_refusal.at_end else self._decide(tx)

    def on_headers(self, tx: MessageTransaction, _headers: Headers) -> Decision | None:
        """Refuse it at its end, before others decide about its content."""
        return self._decide(tx) if self.server.trap_refusal.at_end else None

    def _decide(self, tx: Transaction) -> Decision | None:
        read: _Read | None = tx.notes.get(_NOTE)
        if read is None or not read.is_flagged or not self.options.refuse:
            return None
        self.metrics.counter("refused").inc()
        return self.server.trap_refusal.decide("trap-probes")

    def observe_data(self, tx: Transaction) -> None:
        """Keep whether a trap refuses the message at DATA; None if it may do so at the end."""
        if tx.recipients:
            treatments = {hit.treatment for hit in tx.trap_hits if not (hit.shadow or hit.unproven)}
            is_open = Treatment.REFUSE_ALL_AFTER_CONTENT.value in treatments
            tx.notes[_REFUSED] = Treatment.REFUSE_ALL.value in treatments or (
                None if is_open else False
            )

    def after_message(self, tx: MessageTransaction, outcome: Outcome) -> None:
        """Keep whether a trap has refused the message at its end."""
        answer = outcome.answer
        tx.notes[_REFUSED] = answer is not None and answer.decision.reason == "trap"

    def on_reset(self, tx: Transaction) -> Awaitable[None] | None:
        """Observe a transaction that ended without a message."""
        return self._observe(tx)

    def on_delivered(self, tx: MessageTransaction) -> Awaitable[None] | None:
        """Observe a message that was accepted."""
        return self._observe(tx)

    def _observe(self, tx: Transaction) -> Awaitable[None] | None:
        read: _Read | None = tx.notes.get(_NOTE)
        if read is None or not is_stranger(tx):
            return None
        if not tx.trap_hits and not len(self._sets) and not self._journal.is_behind(read.last):
            return None  # ordinary mail without anything to compare it with
        return self._compare(tx, read)

    async def _compare(self, tx: Transaction, read: _Read) -> None:
        probe = _probe(self.clock.time(), tx)
        try:
            await self._catch_up(read.last)
            if probe is not None and self._sets.concerns(probe):
                await self._share(tx, probe)
        except StoreError:
            self.metrics.counter("not_recorded").inc()

    async def _share(self, tx: Transaction, probe: Probe) -> None:
        """Append a probe to the journal, and read it back in its place; raises StoreError."""
        name = token_hex(8)
        self._awaited[name] = tx
        if len(self._awaited) > _MOST_AWAITED:
            del self._awaited[next(iter(self._awaited))]
        text = msgspec.json.encode(_Entry(name, probe)).decode()
        await self._catch_up(await self._journal.append(self.store, text))

    async def _catch_up(self, last: int) -> None:
        """Observe the entries up to a number; raises StoreError."""
        if not self._journal.is_behind(last):
            return
        findings = list(map(self._observe_entry, await self._read(last)))
        self.metrics.gauge("sets").set(len(self._sets))
        for tx, finding in filter(None, findings):
            await self._record(tx, finding)

    async def _read(self, last: int) -> list[str]:
        return await self._journal.read(self.store, last, self.clock.time())

    def _observe_entry(self, text: str) -> tuple[Transaction, Finding] | None:
        """Return what an entry of this worker shows, with its transaction."""
        try:
            entry = msgspec.json.decode(text, type=_Entry)
        except (msgspec.DecodeError, UnicodeEncodeError):
            return None
        finding = self._sets.observe(entry.probe)
        tx = self._awaited.pop(entry.name, None)
        return None if tx is None or finding is None else (tx, finding)

    async def _record(self, tx: Transaction, finding: Finding) -> None:
        """Flag clusters, and log what was not known yet; raises StoreError."""
        now, ttl = int(self.clock.time()), self.options.flag_for
        async with self.store.batch() as batch:
            flags = [batch.add(f"flag {key}", now, ttl=ttl) for key in finding.keys]
            exposed = [(trap, batch.add(f"exposed {trap}", now, ttl=ttl)) for trap in finding.traps]
        self._recent.clear()
        log = self.log_for(tx)
        if any(one.value for one in flags):
            self.metrics.counter("flagged").inc()
            log.warning(
                "search for traps detected",
                sender=str(tx.reverse_path),
                refinements=finding.chain,
                refuses=self.options.refuse,
            )
        for trap in [trap for trap, is_new in exposed if is_new.value]:
            self.metrics.counter("exposed").inc()
            log.warning("trap exposed", trap=trap)
            await self._note(trap, tx)

    async def _note(self, trap: str, tx: Transaction) -> None:
        """Add the exposure to the history of a registered trap; raises StoreError."""
        if not self.in_shadow_mode:
            with suppress(ValueError):  # a trap of a list, or one that was removed
                await self.traps.note(trap, reason=f"exposed by a search for traps, see {tx.id}")


def _probe(now: float, tx: Transaction) -> Probe | None:
    """Return the probe of a transaction; None for one that shows nothing about single addresses."""
    cluster, refused = cluster_of(tx), tx.notes.get(_REFUSED)
    hits = [hit for hit in tx.trap_hits if hit.trap_class != TrapClass.VIRTUAL.value]
    traps = {hit.address.key for hit in hits}
    # Without a trap and without content it was refused for another reason.
    shows_nothing = not traps if refused else tx.message is None
    if cluster is None or refused is None or shows_nothing:
        return None
    named = [one for one in tx.recipients if not one.added]
    named += [one for one in tx.refused if one.address.key in traps]
    hashes = frozenset(map(_hash, named[: MOST_RECIPIENTS + 1]))
    if len(hashes) == 1 and is_robot(tx.reverse_path.local):
        return None
    kept = _within(
        _MOST_OCTETS, sorted({hit.entry if hit.registered else str(hit.address) for hit in hits})
    )
    return Probe(now, hashes, cluster.network, cluster.keys, refused, kept)


def _hash(rcpt: Recipient) -> int:
    octets = f"{rcpt.user}@{rcpt.domain}".encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(octets, digest_size=4).digest())


def _within(octets: int, texts: Iterable[str]) -> tuple[str, ...]:
    """Return the first texts, as many as fit."""
    kept: list[str] = []
    for text in texts:
        octets -= len(text.encode())
        if octets < 0:
            break
        kept.append(text)
    return tuple(kept)
