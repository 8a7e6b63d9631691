"""Find registered traps that are mistakes: exempt known senders, and set such traps to shadow.

A sender with a standing that hits a registered trap is exempt from this trap at once, with all
domains of its organisation. After three unrelated correspondents the trap goes to shadow, so that
its hits are only recorded. Traps of list files are the administrator's: `standing` reports them.

The plugin also estimates how many legitimate messages learned traps will still cost, and logs a
warning if that is more than a budget.

Theory of operation
-------------------
Everything happens after the reply. The store has the correspondents of a trap in numbered places,
which are written only if they are empty: so workers never count one twice. The registry has the
exemptions and the states. `gatepost.traps.guard` has the rules and the reasons for them.

Trusts: the result `standing` with a domain that SPF or DMARC has proven. Limits: without the store
no sender has a standing, and nothing is changed.
"""

from email.message import EmailMessage
from typing import Any, NamedTuple

import msgspec

from gatepost import (
    Address,
    DeliveryError,
    Duration,
    Headers,
    MessageTransaction,
    Plugin,
    StoreError,
    Transaction,
    TrapHit,
)
from gatepost.lists.free_mail import is_free_mail
from gatepost.plugins._addresses import parse_address
from gatepost.plugins._alarms import budget_notice, guard, notice
from gatepost.plugins._trap_counts import TrapCounts
from gatepost.traps.guard import (
    DAYS,
    MOST_OF_DOMAIN,
    UNRELATED,
    Correspondent,
    Counts,
    correspondent,
    is_unrelated,
    losses,
)
from gatepost.traps.memory import DAY, network_keys
from gatepost.traps.organisations import organisational
from gatepost.traps.statistics import Budget

_NOTE = "trap_guard headers"
_KNOWN = frozenset({"acquainted", "trusted"})

_EXEMPTED = """The domain {domain} is exempt from this trap now.
gatepost traps list shows the state of the trap."""
_NO_CHANGE = "trap_guard is in shadow mode, so nothing was changed."


class _Sender(NamedTuple):
    """A known sender: the organisational domain that is proven, and its standing."""

    domain: str
    standing: str


class TrapGuard(Plugin):
    """Exempts senders from registered traps and disarms traps; it decides nothing."""

    after = frozenset({"spf", "dmarc", "authentication_results", "standing"})

    class Options(Plugin.Options):
        """The limits of learned traps, and the address for notices."""

        budget: float = 1.0
        """The number of legitimate messages of 100,000 that learned traps may refuse, as an upper
        limit (95 %), before a warning is logged."""
        within: Duration = Duration("90d")
        """How long an unrelated correspondent counts against a trap."""
        notify: str = ""
        """The address that gets a mail about each trap that a known sender hits, at most one a day
        for each trap, and about the budget; "" for none."""

        def __post_init__(self) -> None:
            if self.budget < 0:
                raise ValueError("expected a budget of 0 or more messages")
            if self.notify:
                Address.parse(self.notify)

    def start(self) -> None:
        """Count accepted messages every minute, and estimate the losses every hour."""
        self._accepted = 0
        self._counts = TrapCounts(self.store)
        self.every("1m", self._count_accepted)
        self.every("1h", self._check_budget, one_worker=True)

    async def stop(self) -> None:
        """Count the last accepted messages."""
        await self._count_accepted()

    def on_mail(self, tx: Transaction, _sender: Address) -> None:
        """Keep that notices about registered traps come from here."""
        if self.options.notify:
            guard(tx)

    def on_headers(self, tx: MessageTransaction, headers: Headers) -> None:
        """Keep the fields of a message that has hit a registered trap."""
        if any(hit.registered for hit in tx.trap_hits):
            tx.notes[_NOTE] = headers

    async def on_reset(self, tx: Transaction) -> None:
        """Examine the hits of a transaction that ended without a message."""
        await self._examine(tx)

    async def on_delivered(self, tx: MessageTransaction) -> None:
        """Count an accepted message, and examine its hits."""
        self._accepted += tx.session.auth is None
        await self._examine(tx)

    async def _examine(self, tx: Transaction) -> None:
        hits = {hit.entry: hit for hit in tx.trap_hits if hit.treatment != "none"}
        registered = [hit for hit in hits.values() if hit.registered]
        if not registered:  # those of an authenticated client have no treatment
            return
        try:
            for hit in registered:
                await self._count_hit(tx, hit)
            sender = _known_sender(tx)
            if sender is not None:
                await self._spare(tx, registered[0], sender, is_only=len(hits) == 1)
        except StoreError as error:
            self.metrics.counter("not_recorded").inc()
            log = self.log_for(tx)
            log.warning("trap guard failed", problem=str(error))

    async def _count_hit(self, tx: Transaction, hit: TrapHit) -> None:
        address = parse_address(tx.session.peer.host)
        if hit.trap_class == "learned" and address is not None:
            network = network_keys(address)[0]
            await self._counts.count_hit(self.clock.time(), hit.entry, network)

    async def _spare(
        self, tx: Transaction, hit: TrapHit, sender: _Sender, *, is_only: bool
    ) -> None:
        """Exempt a known sender from a trap, and disarm the trap if it is certainly wrong."""
        self.metrics.counter("known_senders", standing=sender.standing).inc()
        objection = await self._objection(sender.domain, is_only=is_only)
        if objection:
            log = self.log_for(tx)
            log.warning(
                "known sender not exempted", reason=objection, **self._facts(tx, hit, sender)
            )
            await self._notify(tx, hit, f"The domain was not exempted: {objection}.")
            return
        if hit.trap_class == "learned":
            await self._counts.count_sender(self.clock.time(), hit.entry, sender.domain)
        await self._exempt(tx, hit, sender)
        headers: Headers | None = tx.notes.get(_NOTE)
        found = None if headers is None else correspondent(sender.domain, headers)
        if found is not None and await self._is_enough(hit.entry, found):
            await self._disarm(tx, hit, sender)
        await self._notify(tx, hit, _EXEMPTED.format(domain=sender.domain))

    async def _objection(self, domain: str, *, is_only: bool) -> str:
        """Return the reason against an exemption, "" without one.

        More than one trap in a message, or one after the other, is no mistake of traps: the sender
        has bought a list.
        """
        if is_free_mail(domain):
            return "any person can get an address in this domain"
        if not is_only:
            return "the message hits several traps"
        hits = await self.store.incr(f"exempted {domain}", ttl=DAYS * DAY)
        return "" if hits <= MOST_OF_DOMAIN else "the domain hits several traps"

    async def _exempt(self, tx: Transaction, hit: TrapHit, sender: _Sender) -> None:
        log = self.log_for(tx)
        if not self.in_shadow_mode:
            reason = f"{sender.standing} sender, see {tx.id}"
            try:
                await self.traps.exempt(hit.entry, sender.domain, reason=reason)
            except ValueError as error:  # another worker was faster, or too many domains
                log.info("sender not exempted", trap=hit.entry, problem=str(error))
                return
        self.metrics.counter("exempted").inc()
        log.warning("known sender exempted", **self._facts(tx, hit, sender))

    async def _is_enough(self, trap: str, new: Correspondent) -> bool:
        """Record an unrelated correspondent; return whether it is the last that is needed."""
        keys = [f"correspondent {trap} {number}" for number in range(UNRELATED)]
        text = msgspec.json.encode(new).decode()
        for _ in keys:  # another worker may write to the same place
            async with self.store.batch() as batch:
                places = [(key, batch.get(key)) for key in keys]
            known = [found for _, place in places if (found := _read(place.value)) is not None]
            free = next((key for key, place in places if place.value is None), None)
            if free is None or not is_unrelated(new, known):
                return False
            if await self.store.add(free, text, ttl=self.options.within):
                return len(known) + 1 >= UNRELATED
        return False

    async def _disarm(self, tx: Transaction, hit: TrapHit, sender: _Sender) -> None:
        log = self.log_for(tx)
        if not self.in_shadow_mode:
            reason = f"{UNRELATED} unrelated known senders, see {tx.id}"
            try:
                await self.traps.set_state(hit.entry, "shadow", reason=reason)
            except ValueError as error:  # it is in shadow already, or was removed
                log.info("trap not disarmed", trap=hit.entry, problem=str(error))
                return
        self.metrics.counter("disarmed").inc()
        log.warning("trap disarmed", **self._facts(tx, hit, sender))
        async with self.store.batch() as batch:  # if it is armed again, others count
            for number in range(UNRELATED):
                batch.delete(f"correspondent {hit.entry} {number}")

    def _facts(self, tx: Transaction, hit: TrapHit, sender: _Sender) -> dict[str, object]:
        """Return the fields of a log line."""
        return {
            "trap": hit.entry,
            "sender": str(tx.reverse_path),
            "domain": sender.domain,
            "standing": sender.standing,
            "shadowed": self.in_shadow_mode,
        }

    async def _notify(self, tx: Transaction, hit: TrapHit, advice: str) -> None:
        to = self.options.notify
        if to and await self.store.add(f"notified {hit.entry}", ttl=DAY):
            given = _NO_CHANGE if self.in_shadow_mode else advice
            mail = notice(tx, hit, to, self.server.hostname, advice=given)
            await self._send(to, mail, self.log_for(tx))

    async def _send(self, to: str, mail: EmailMessage, log: Any) -> None:
        try:
            await self.submit("", [to], mail)
        except (ValueError, DeliveryError, RuntimeError) as error:
            log.warning("notice not sent", to=to, problem=str(error))

    async def _count_accepted(self) -> None:
        number, self._accepted = self._accepted, 0
        if number:
            try:
                await self._counts.count_accepted(self.clock.time(), number)
            except StoreError:
                self.metrics.counter("not_recorded").inc()

    async def _check_budget(self) -> None:
        """Estimate the losses; without a legitimate sender of a trap nothing shows any."""
        try:
            counts = await self._counts.sums(self.clock.time())
            found = losses(counts)
            self.metrics.gauge("expected_losses").set(found.expected)
            self.metrics.gauge("expected_losses_upper").set(found.upper)
            is_over = counts.once > 0 and found.upper > self.options.budget
            if is_over and await self.store.add("notified budget", ttl=DAY):
                await self._report_budget(counts, found)
        except StoreError:
            self.metrics.counter("not_recorded").inc()

    async def _report_budget(self, counts: Counts, found: Budget) -> None:
        budget, to = self.options.budget, self.options.notify
        expected, upper = round(found.expected, 2), round(found.upper, 2)
        self.log.warning(
            "expected losses over budget", expected=expected, upper=upper, budget=budget
        )
        if to:
            mail = budget_notice(counts, found, budget, to, self.server.hostname)
            await self._send(to, mail, self.log)


def _known_sender(tx: Transaction) -> _Sender | None:
    """Return the sender if it has a standing, for which its domain is proven."""
    found = tx.results.get("standing")
    if found is None or found.value not in _KNOWN:
        return None
    domain = str(found.facts.get("domain", ""))
    return _Sender(organisational(domain), found.value) if domain else None


def _read(value: object) -> Correspondent | None:
    """Return a correspondent in the store; a damaged one is none."""
    try:
        return msgspec.json.decode(value, type=Correspondent) if isinstance(value, str) else None
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
