"""The short report for `gatepost status` and the health check: workers, queue, warnings.

The ledger process writes it to `ledger/status.json` in the data folder every few seconds, as a
whole. A reader ignores fields that it does not recognise.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count as numbers
from math import inf
from pathlib import Path

import msgspec

from gatepost.disk.durable import replace_file
from gatepost.metrics.counting import Counting
from gatepost.metrics.gauges import all_certificates, all_lists, unavailable_tables
from gatepost.metrics.status import (
    HOOK_BUCKETS,
    CertificateStatus,
    HookTimes,
    ListStatus,
    Status,
)

# A report of a process that has ended or hangs: three times the interval of the statuses, and more.
STALE = 20.0
# A certificate of Let's Encrypt is renewed 30 days before its end.
EXPIRES_SOON = 14 * 86_400.0
MOST_WARNINGS = 50
MOST_LISTED = 200
_UNITS = (("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1))


class WorkerReport(msgspec.Struct, frozen=True):
    """A worker: its number, its process, and its open sessions; the others as in `Status`."""

    worker: int
    pid: int
    started: float
    sessions: int
    lag: float
    memory: int = 0
    files: int = 0


class HookReport(msgspec.Struct, frozen=True):
    """The time that a method of a plugin takes in all workers.

    `calls` is the number of calls. `median` and `slow` are upper limits in seconds of the time of
    half of the calls, and of 99 % of them: those of HOOK_BUCKETS, or 0 if it is above the last.
    `failures` are errors and time-outs, `timeouts` those alone.
    """

    plugin: str
    hook: str
    calls: int
    median: float
    slow: float
    failures: int = 0
    timeouts: int = 0


class Report(msgspec.Struct, frozen=True):
    """The workers that have sent their status, and what an administrator should look at.

    `silent` and `degraded` are the numbers of workers that no name server answers, and whose store
    is unavailable.
    """

    time: float
    workers: Sequence[WorkerReport] = ()
    dropped: int = 0
    warnings: Sequence[str] = ()
    lists: Sequence[ListStatus] = ()
    certificates: Sequence[CertificateStatus] = ()
    hooks: Sequence[HookReport] = ()
    silent: int = 0
    degraded: int = 0


def report_of(counting: Counting, now: float) -> Report:
    """Return the report; `now` is in seconds since 1970."""
    statuses = counting.statuses
    workers = [
        WorkerReport(one.worker, one.pid, one.started, one.sessions, one.lag, one.memory, one.files)
        for one in statuses
    ]
    return Report(
        now,
        workers,
        dropped=sum(one.dropped for one in statuses),
        warnings=list(warnings_of(statuses, now))[:MOST_WARNINGS],
        lists=all_lists(statuses)[:MOST_LISTED],
        certificates=all_certificates(statuses)[:MOST_LISTED],
        hooks=list(_hooks(statuses))[:MOST_LISTED],
        silent=sum(one.dns.unavailable for one in statuses),
        degraded=sum(one.store_degraded for one in statuses),
    )


def _hooks(statuses: Sequence[Status]) -> Iterator[HookReport]:
    """Yield the time of each method of a plugin, the slowest first."""
    found: dict[tuple[str, str], list[HookTimes]] = {}
    for status in statuses:
        for one in status.hooks:
            found.setdefault((one.plugin, one.hook), []).append(one)
    reports = [_hook(name, times) for name, times in found.items()]
    return iter(sorted(reports, key=lambda one: (-(one.slow or inf), one.plugin, one.hook)))


def _hook(name: tuple[str, str], times: Sequence[HookTimes]) -> HookReport:
    """Return the sum of a method in all workers."""
    counts: Counter[int] = Counter()
    for one in times:
        counts.update(dict(enumerate(one.counts)))
    return HookReport(
        *name,
        counts.total(),
        _at(counts, 0.5),
        _at(counts, 0.99),
        sum(one.failures for one in times),
        sum(one.timeouts for one in times),
    )


def _at(counts: Counter[int], share: float) -> float:
    """Return the upper limit of the time of a share of the calls, 0 above the last limit."""
    below = 0
    for limit, number in zip(HOOK_BUCKETS, (counts[at] for at in numbers()), strict=False):
        below += number
        if below >= share * counts.total():
            return limit
    return 0.0


def warnings_of(statuses: Sequence[Status], now: float) -> Iterator[str]:
    """Yield the problems that the workers report."""
    for certificate in all_certificates(statuses):
        if certificate.expires - now < EXPIRES_SOON:
            yield f"{certificate.path}: {_expiry(certificate, now)}"
        if certificate.problem:
            yield certificate.problem
    for one in all_lists(statuses):
        if one.problem:
            age = f"the version of {about(now - one.loaded)} ago is in use"
            yield f"{one.problem}; {age if one.loaded else 'the list is not in force yet'}"
    yield from _outages(statuses)
    dropped = sum(one.dropped for one in statuses)
    if dropped:
        yield f"{dropped} records of the ledger were lost since the start of the workers"


def _outages(statuses: Sequence[Status]) -> Iterator[str]:
    degraded = sum(one.store_degraded for one in statuses)
    if degraded:
        yield f"the store of plugins is unavailable in {degraded} of {len(statuses)} workers"
    silent = sum(one.dns.unavailable for one in statuses)
    if silent:
        yield f"no name server answers {silent} of {len(statuses)} workers"
    for name, count in unavailable_tables(statuses).items():
        if count:
            yield f"the table {name} is unavailable in {count} of {len(statuses)} workers"


def _expiry(certificate: CertificateStatus, now: float) -> str:
    names = ", ".join(certificate.names)
    left = certificate.expires - now
    when = f"expires in {about(left)}" if left > 0 else f"expired {about(-left)} ago"
    return f"the certificate for {names} {when}"


def about(seconds: float) -> str:
    """Return a duration for people: `13 days`, `5 minutes`."""
    for unit, length in _UNITS:
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return "1 second" if 1 <= seconds < 2 else f"{int(max(0.0, seconds))} seconds"


def write_report(path: Path, report: Report) -> None:
    """Replace the file as a whole; raises OSError."""
    replace_file(path, msgspec.json.encode(report))


def read_report(path: Path) -> Report | None:
    """Return the report of the file; None without a file or if it is not readable as a report."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
