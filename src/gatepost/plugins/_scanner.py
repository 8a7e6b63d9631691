"""Common parts of the plugins that ask a scanner about a message: rspamd, SpamAssassin, ClamAV.

If a scanner does not answer, the plugin raises `UnavailableError`, so that `on_error` decides: mail
is deferred by default. A scanner is away if it does not accept connections, or does not answer in
time. After FAILURES such failures in a row it is not asked for PAUSE seconds; then one message
tries it. Only the first failure and the next success are logged. A message that gets no turn in
time is no failure of the scanner.

A failure of another kind, such as an answer that makes no sense or a connection that is closed
early, is about one message: it pauses nothing, or a client could stop the scans of all others. One
such failure in QUIET seconds is logged.

Trusts: nothing in answers. Limits: `most` scans at the same time in each worker, each within
`timeout`, of messages with at most `largest` octets. Senders of messages for which the scanner
takes too long can cause a pause.
"""

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar, Generic, NoReturn, TypeVar

from gatepost import (
    Breaker,
    Decision,
    Duration,
    MessageTransaction,
    Outcome,
    Plugin,
    Reaction,
    Size,
    Transaction,
    UnavailableError,
)
from gatepost.plugins._exchange import UnreachableError
from gatepost.plugins._scans import scans_of

FAILURES = 3
PAUSE = 10.0
QUIET = 60.0
_LONGEST = 200

FoundT = TypeVar("FoundT")


class ScannerError(Exception):
    """The scanner has failed, or its answer makes no sense."""


class ScannerOptions(Plugin.Options):
    """The options of all scanners."""

    timeout: Duration = Duration("25s")
    """How long a scan may take, with the wait for its turn. A longer one needs a longer `timeout`
    of the `[[plugin]]` too."""
    most: int = 20
    """The number of messages that each worker has scanned at the same time. Others wait."""
    largest: Size = Size("25MiB")
    """The size of the largest message that is scanned."""
    too_large: Reaction = Reaction("deny")
    """The reaction to a larger message."""

    def __post_init__(self) -> None:
        if not self.timeout > 0:
            raise ValueError("timeout: expected more than 0 seconds")
        if not 1 <= self.most <= 1000:
            raise ValueError(f"most: expected 1 to 1000 messages, found {self.most}")


class Scanner(Plugin, Generic[FoundT]):
    """Base of the scanners; their `Options` is a `ScannerOptions`.

    A scanner has `scan`, which asks, and `conclude`, which adds a result and decides. `result` is
    the name of its result, which is "temperror" without an answer and "skipped" for a message that
    is too large.
    """

    result: ClassVar[str]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._breaker = Breaker(FAILURES, PAUSE)
        self._quiet_until = 0.0
        self._omitted = 0
        self._turns = asyncio.Semaphore(self._limits.most)

    @property
    def _limits(self) -> ScannerOptions:
        general = self.all_options.general
        assert isinstance(general, ScannerOptions)
        return general

    async def scan(self, tx: MessageTransaction) -> FoundT:
        """Return the answer of the scanner about a message.

        Raises OSError, EOFError, ValueError or `ScannerError` if it does not answer, or not as
        described.
        """
        raise NotImplementedError

    def conclude(self, tx: MessageTransaction, found: FoundT) -> Decision | None:
        """Add the result, edit the message, and decide."""
        raise NotImplementedError

    def observe_message(self, tx: MessageTransaction) -> None:
        """Let the scan run at the same time as those of other scanners."""
        if not self._is_too_large(tx):
            scans_of(tx).announce(self.name, partial(self._ask, tx))

    async def on_message(self, tx: MessageTransaction) -> Decision | None:
        """Wait for the scan, and decide."""
        if self._is_too_large(tx):
            return self.skip(tx)
        try:
            found = await scans_of(tx).result(self.name, partial(self._ask, tx))
        except (OSError, EOFError, ValueError, ScannerError, UnavailableError) as error:
            self._give_up(tx, error)
        self._succeed()
        return self.conclude(tx, found)

    def after_message(self, tx: MessageTransaction, _outcome: Outcome) -> None:
        """End the scans whose result does not matter any more."""
        scans_of(tx).cancel()

    async def _ask(self, tx: MessageTransaction) -> FoundT:
        if not self._breaker.allows(self.clock.time()):
            raise UnavailableError(f"{self.name} has not answered and is not asked for now")
        began = 0.0
        try:
            async with asyncio.timeout(self._limits.timeout), self._turns:
                began = time.monotonic()
                found = await self.scan(tx)
        except TimeoutError:
            if began:
                raise
            raise UnavailableError("no turn within the time-out: too many scans") from None
        self.metrics.histogram("seconds").observe(time.monotonic() - began)
        return found

    def _is_too_large(self, tx: MessageTransaction) -> bool:
        return tx.message.size > self._limits.largest

    def skip(self, tx: MessageTransaction) -> Decision | None:
        """Decide about a message that is too large for the scanner."""
        reaction = self._limits.too_large
        self.add(tx, "skipped", score=reaction.score, reason="too large")
        codes = {"code": 552} if reaction.word == "deny" else {}
        text = "Message is too large to be scanned"
        return reaction.decide(text, enhanced="5.3.4", reason="too-large", **codes)

    def add(self, tx: MessageTransaction, value: str, **facts: str | float) -> None:
        """Add the result, and count it."""
        self.metrics.counter("messages", result=value).inc()
        tx.results.add(self.result, value, **facts)

    def _give_up(self, tx: MessageTransaction, error: Exception) -> NoReturn:
        """Add a result, count and log the failure, and let `on_error` decide."""
        text = "".join(filter(str.isprintable, str(error)))
        problem = (text or type(error).__name__)[:_LONGEST]
        self.add(tx, "temperror", reason=problem)
        if isinstance(error, TimeoutError | UnreachableError):
            self._note_outage(tx, problem)
        elif not isinstance(error, UnavailableError):
            self._note_failure(tx, problem)
        raise UnavailableError(problem) from error

    def _note_outage(self, tx: MessageTransaction, problem: str) -> None:
        if not self._breaker.failures:
            log = self.log_for(tx)
            log.warning("scanner unavailable", problem=problem)
        self._breaker.failed(self.clock.time())

    def _note_failure(self, tx: MessageTransaction, problem: str) -> None:
        """Log that one message was not scanned, unless another was just before."""
        now = self.clock.time()
        if now < self._quiet_until:
            self._omitted += 1
            return
        log, more = self.log_for(tx), {"omitted": self._omitted} if self._omitted else {}
        log.warning("scan failed", problem=problem, **more)
        self._quiet_until, self._omitted = now + QUIET, 0

    def _succeed(self) -> None:
        if self._breaker.failures:
            self._breaker.succeeded()
            self.log.info("scanner available")


def confirmed_name(tx: Transaction) -> str:
    """Return the name of the client that its address confirms, "" if none is known.

    The plugin `iprev` has found it, or the mail server whose milter this is.
    """
    iprev = tx.results.get("iprev")
    if iprev is not None and iprev.value == "pass":
        return str(iprev.facts.get("name", ""))
    reported = tx.session.reported.get("client_name", "")
    return "" if reported == "unknown" or reported.startswith("[") else reported


def content_of(tx: MessageTransaction) -> Iterator[bytes]:
    """Yield the content as received, in pieces that are not empty."""
    return filter(None, tx.message.content())
