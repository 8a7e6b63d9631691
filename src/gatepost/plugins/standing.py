"""Recognise senders with good mail on record, and those that your users have written to.

A sender is "trusted" if one of your users has written to the address, "acquainted" if the domain
has sent good mail for some time and no bad mail, and otherwise a "stranger". Traps, greylisting and
rules of your own treat strangers more strictly.

A trap that a known sender hits is probably a mistake. It is logged as a warning, and with `notify`
the postmaster gets a mail.

Trusts: only a domain that SPF or DMARC has proven. A name that a client claims has no standing.
Limits: the state is in the store. Without it every sender is a stranger.
"""

from collections.abc import Awaitable, Iterable
from typing import Any, NamedTuple

from gatepost import (
    Address,
    AddressError,
    DeliveryError,
    Duration,
    MessageTransaction,
    Plugin,
    StoreError,
    Transaction,
    TrapHit,
)
from gatepost.model.headers import Headers
from gatepost.plugins._alarms import causing, is_guarded, notice, place_of
from gatepost.plugins._correspondents import is_of_program, key_of, record
from gatepost.plugins._recent import Recent
from gatepost.plugins._subjects import domain_of, spf_domain
from gatepost.traps.automatic import is_automatic_answer

TRUSTED, ACQUAINTED, STRANGER = "trusted", "acquainted", "stranger"
_KNOWN = frozenset({TRUSTED, ACQUAINTED})

# The result of other plugins with the fact `address`: a user has written to it.
CORRESPONDENT = "correspondent"

# The time between two notices about a trap, in seconds.
_DAY = 86400.0
# How long a worker uses what it has read, in seconds.
RECENT = 5.0
# What was read at MAIL, for the end of the transaction.
_NOTE = "standing"
# The plugin whose points are about other mail of the same network.
_MEMORY = "trap_memory"


class _Found(NamedTuple):
    """The time of the first good mail (0 for none), whether there was bad mail, a correspondent."""

    first: int
    is_bad: bool
    wrote_to: str


class Standing(Plugin):
    """Adds the result `standing`, and reports traps that known senders hit; it decides nothing."""

    after = frozenset({"spf", "dmarc", "authentication_results"})
    before = frozenset({"greylist", "trap_memory", "score", "reputation"})

    class Options(Plugin.Options):
        """The times for which good and bad mail counts."""

        acquainted_after: Duration = Duration("7d")
        """The age of the first good message from which a domain is acquainted."""
        keep: Duration = Duration("180d")
        """How long a domain stays on record after its last good message."""
        bad: Duration = Duration("90d")
        """How long a domain is a stranger after bad mail: a trap hit, or refused content."""
        correspondents: Duration = Duration("365d")
        """How long an address is trusted after a user has written to it; 0 for not at all."""
        good_below: float = 2.0
        """The number of points below which an accepted message is good."""
        notify: str = ""
        """The address that gets a mail when a known sender hits a trap, at most one a day for each
        entry of a trap list; "" for none."""

        def __post_init__(self) -> None:
            if self.notify:
                Address.parse(self.notify)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._found: Recent[_Found] = Recent(RECENT)
        self._written: Recent[bool] = Recent(_DAY)

    def on_mail(self, tx: Transaction, sender: Address) -> Awaitable[None] | None:
        """Find the standing of the sender, if SPF has passed for its domain."""
        domain = spf_domain(tx)
        return self._find(tx, domain, sender) if tx.session.auth is None and domain else None

    def on_message(self, tx: MessageTransaction) -> Awaitable[None] | None:
        """Find the standing of the author's domain, if DMARC has passed and SPF has not."""
        dmarc = tx.results.get("dmarc")
        if tx.session.auth is not None or _NOTE in tx.notes or dmarc is None:
            return None
        domain = str(dmarc.facts.get("domain", ""))
        return self._find(tx, domain, None) if dmarc.value == "pass" and domain else None

    def _find(self, tx: Transaction, domain: str, sender: Address | None) -> Awaitable[None] | None:
        """Add the standing: in place, if this worker has just read it."""
        found = self._found.get(_recent_key(domain, sender), self.clock.time())
        if found is None:
            return self._read_and_add(tx, domain, sender)
        self._add(tx, domain, found)
        return None

    async def _read_and_add(self, tx: Transaction, domain: str, sender: Address | None) -> None:
        try:
            found = await self._look_up(domain, sender)
        except StoreError:
            tx.results.replace("standing", STRANGER, reason="the store is unavailable")
            return
        self._found.put(_recent_key(domain, sender), found, self.clock.time())
        self._add(tx, domain, found)

    def _add(self, tx: Transaction, domain: str, found: _Found) -> None:
        tx.notes[_NOTE] = domain, found.first
        value, reason = self._judge(found, domain)
        tx.results.replace("standing", value, reason=reason, domain=domain)
        self.metrics.counter("messages", standing=value).inc()

    async def _look_up(self, domain: str, sender: Address | None) -> _Found:
        """Return what the store has; raises StoreError."""
        async with self.store.batch() as batch:
            good, bad = batch.get(f"good {domain}"), batch.get(f"bad {domain}")
            sent = batch.get(key_of(sender)) if sender else None
        first = good.value if isinstance(good.value, int) else 0
        wrote_to = str(sender) if sent is not None and sent.value is not None else ""
        return _Found(first, bad.value is not None, wrote_to)

    def _judge(self, found: _Found, domain: str) -> tuple[str, str]:
        """Return the standing and the reason for it."""
        age = self.clock.time() - found.first
        if found.wrote_to:
            return TRUSTED, f"a user has written to {found.wrote_to}"
        if found.is_bad:
            return STRANGER, f"bad mail of {domain} on record"
        if found.first and age >= self.options.acquainted_after:
            return ACQUAINTED, f"good mail of {domain} for {_days(age)}"
        return STRANGER, f"no good mail of {domain} on record"

    async def on_delivered(self, tx: MessageTransaction) -> None:
        """Record a good message, and the addresses that a user has written to."""
        if tx.trap_hits:
            await self._warn(tx)
        try:
            await self._record_correspondents(tx)
            if tx.session.auth is None:
                await self._record_mail(tx)
        except (StoreError, AddressError):
            self.metrics.counter("not_recorded").inc()

    async def _record_mail(self, tx: MessageTransaction) -> None:
        if _has_evidence(tx):
            await self._record_bad(tx)
        elif _NOTE in tx.notes and _points(tx) < self.options.good_below:
            domain, first = tx.notes[_NOTE]
            await self._record_good(domain, first)

    async def _record_good(self, domain: str, first: int) -> None:
        """Record good mail, which keeps the domain on record; once a day in each worker."""
        now = self.clock.time()
        if self._written.get(domain, now):
            return
        await self.store.set(f"good {domain}", first or int(now), ttl=self.options.keep)
        self._written.put(domain, value=True, now=now)

    async def on_reset(self, tx: Transaction) -> None:
        """Record bad mail: a trap hit that is evidence, or a message refused after its content."""
        if tx.trap_hits:
            await self._warn(tx)
        refused = tx.message is not None and _points(tx) >= self.options.good_below
        if tx.session.auth is None and (refused or _has_evidence(tx)):
            try:
                await self._record_bad(tx)
            except StoreError:
                self.metrics.counter("not_recorded").inc()

    async def _warn(self, tx: Transaction) -> None:
        """Log a trap that a known sender has hit, and send a notice."""
        hit = causing(tx)
        standing = tx.results.value("standing")
        if hit is None or standing not in _KNOWN:
            return
        self.metrics.counter("known_senders_trapped", standing=standing).inc()
        log = self.log_for(tx)
        log.warning(
            "trap hit by a known sender",
            trap=f"{hit.address} ({place_of(hit)})",
            sender=str(tx.reverse_path),
            standing=standing,
        )
        if self.options.notify and not is_guarded(tx, hit):
            await self._notify(tx, hit)

    async def _notify(self, tx: Transaction, hit: TrapHit) -> None:
        to = self.options.notify
        try:
            if await self.store.add(f"notified {hit.source} {hit.entry}", ttl=_DAY):
                await self.submit("", [to], notice(tx, hit, to, self.server.hostname))
        except (StoreError, ValueError, DeliveryError, RuntimeError) as error:
            log = self.log_for(tx)
            log.warning("notice not sent", to=to, problem=str(error))

    async def _record_bad(self, tx: Transaction) -> None:
        if _NOTE in tx.notes:
            domain, _ = tx.notes[_NOTE]
            await self.store.set(f"bad {domain}", 1, ttl=self.options.bad)
            self._found.clear()

    async def _record_correspondents(self, tx: MessageTransaction) -> None:
        if tx.session.auth is not None and not _is_automatic(tx):
            await self.wrote_to(one.address for one in tx.recipients)
        if CORRESPONDENT not in tx.results:
            return
        named = [str(one.facts.get("address", "")) for one in tx.results.all(CORRESPONDENT)]
        await self.wrote_to(named)

    async def wrote_to(self, addresses: Iterable[Address | str]) -> None:
        """Record that your users have written to addresses, so that these are trusted.

        Addresses of local domains are left out. Raises `AddressError`, a ValueError, for text that
        is no address, and `StoreError`.
        """
        parsed = [Address.parse(one) if isinstance(one, str) else one for one in addresses]
        keys = [key_of(one) for one in parsed if not self.server.is_local(domain_of(one))]
        if keys and self.options.correspondents:
            await record(self.store, keys, self.clock.time(), self.options.correspondents)
            self._found.clear()


def _is_automatic(tx: MessageTransaction) -> bool:
    """Return whether a program has answered for a user, who may have never seen the sender."""
    if is_of_program(tx.reverse_path.local):
        return True
    try:
        return is_automatic_answer(Headers(tx.message.header_block()))
    except ValueError:  # it is too long
        return False


def _points(tx: Transaction) -> float:
    """Return the points of a message without those that its network has earned by others."""
    return sum(one.score for one in tx.results if one.name != _MEMORY)


def _has_evidence(tx: Transaction) -> bool:
    return any(hit.is_evidence for hit in tx.trap_hits)


def _recent_key(domain: str, sender: Address | None) -> str:
    return domain if sender is None else f"{domain} {sender.key}"


def _days(seconds: float) -> str:
    days = int(seconds // 86400)
    return f"{days} day{'' if days == 1 else 's'}"
