"""Trials of messages for the dashboard, each in a process of its own.

The running server is not used: a trial has its own server in memory, with an empty store. It
changes no ledger, store, queue or counter.

Limits: RUNNING at the same time, and SECONDS for one with its comparison; one process at a time for
each. MOST octets of a message, or `limits.message_size`; MOST_TO recipients.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gatepost.checks.trial.apart import TrialError, run_apart
from gatepost.checks.trial.differences import Difference, compare
from gatepost.checks.trial.envelope import (
    Envelope,
    EnvelopeError,
    Given,
    read_envelope,
    short_message,
)
from gatepost.checks.trial.result import Trial
from gatepost.config.schema import Config
from gatepost.ledger.limits import text
from gatepost.ledger.records import Record
from gatepost.log.logger import get_logger
from gatepost.log.os_error import describe_os_error
from gatepost.web.configurations import ConfigurationError, path_of

RUNNING = 2
SECONDS = 20.0
MOST = 25 * 1024 * 1024
MOST_TO = 200

_log = get_logger("gatepost.web")


class BusyTrialsError(Exception):
    """RUNNING trials are running."""

    def __init__(self) -> None:
        super().__init__(f"{RUNNING} trials are running. Try again in some seconds.")


class TryError(ValueError):
    """Values that cannot be tried: `problems` has what was expected, by the field."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {text}" for field, text in problems.items()))
        self.problems = problems


class Side(NamedTuple):
    """A trial with one configuration: its records and log, or the problem without a trial."""

    trial: Trial | None
    records: Sequence[Record] = ()
    log: str = ""
    problem: str = ""


class Tried(NamedTuple):
    """The trial with the configuration of the server, and one with another, None without it."""

    now: Side
    other: Side | None
    differences: Sequence[Difference]


class Trials:
    """The trials of one dashboard."""

    def __init__(self) -> None:
        self._running = 0

    async def run(self, config: Config, given: Given, compare: str, content: bytes) -> Tried:
        """Try a message, also with the configuration in the file `compare` unless it is "".

        Without content it is a short message. Raises `TryError` or `BusyTrialsError`.
        """
        envelope = _envelope(config, given)
        other = await asyncio.to_thread(_path, config, compare) if compare else None
        message = content or short_message(envelope)
        with self._counted():
            end = asyncio.get_running_loop().time() + SECONDS
            now = await _side(config, envelope, message, end)
            there = None if other is None else await _side(str(other), envelope, message, end)
        return Tried(now, there, _differences(now, there, len(envelope.recipients)))

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._running >= RUNNING:
            raise BusyTrialsError
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1


def most_octets(config: Config) -> int:
    """Return the size of the largest message that can be tried."""
    return min(config.limits.message_size, MOST)


def _envelope(config: Config, given: Given) -> Envelope:
    """Return the envelope of some texts; raises `TryError`."""
    count = len(given.recipients)
    if count > MOST_TO:
        raise TryError({"recipients": f"expected at most {MOST_TO} recipients, found {count}"})
    try:
        return read_envelope(given, {one.name for one in config.listen})
    except EnvelopeError as error:
        raise TryError(error.problems) from error


def _path(config: Config, name: str) -> Path:
    try:
        return path_of(config, name)
    except ConfigurationError as error:
        raise TryError({"compare": str(error)}) from error
    except OSError as error:
        raise TryError({"compare": describe_os_error(error)}) from error


def log_trial(user: str, client: str) -> None:
    """Log that a user has tried a message."""
    _log.info("message tried", user=text(user), client=client)


async def _side(config: Config | str, envelope: Envelope, content: bytes, end: float) -> Side:
    left = max(end - asyncio.get_running_loop().time(), 0.0)
    try:
        found = await run_apart(config, envelope, content, left)
    except TrialError as error:
        _log.warning("trial failed", problem=str(error))
        return Side(None, log=error.log, problem=str(error))
    except OSError as error:
        _log.warning("trial failed", problem=describe_os_error(error))
        return Side(None, problem=describe_os_error(error))
    return Side(found.trial, found.records, found.log)


def _differences(now: Side, there: Side | None, count: int) -> Sequence[Difference]:
    if now.trial is None or there is None or there.trial is None:
        return ()
    return compare(now.trial, there.trial, count)
