"""The figures of `gatepost top` as lines of text."""

from collections.abc import Iterator

from gatepost.cli.shared.output import plain_table
from gatepost.cli.shared.session_rows import filled
from gatepost.cli.shared.top_figures import RESULTS, WINDOW, Sample
from gatepost.ledger.words.wording import counted
from gatepost.log.printable import printable

# Workers that have a line of their own.
MOST_WORKERS = 4
_CODES = {"accepted": "accepted", "deferred": "4xx", "refused": "5xx"}


def summary(sample: Sample) -> Iterator[str]:
    """Yield the lines above the sessions, safe for a terminal."""
    yield f"sessions  {_sessions(sample)}"
    yield from _workers(sample)
    yield f"minute    {_results(sample)}"
    reasons = "   ".join(f"{reason} {count}" for reason, count in sample.reasons)
    yield f"reasons   {printable(reasons) or '-'}"
    yield f"queue     {_queue(sample)}"
    yield from (f"problem   {printable(one)}" for one in sample.problems)


def snapshot(sample: Sample, limit: int) -> Iterator[str]:
    """Yield the lines of `gatepost top --once`, with the oldest sessions."""
    yield from summary(sample)
    sessions = [] if sample.live is None else sample.live.sessions[:limit]
    columns = filled(sessions)
    if columns:
        yield ""
        rows = zip(*([printable(one) for one in texts] for _, texts in columns), strict=True)
        yield from plain_table([column.heading for column, _ in columns], list(rows))


def _sessions(sample: Sample) -> str:
    if sample.live is None:
        return "-"
    pending = sum(one.pending for one in sample.live.workers)
    more = f", {pending} without their PROXY header" if pending else ""
    workers = counted(len(sample.workers), "worker")
    return f"{sum(one.sessions for one in sample.live.workers)} in {workers}{more}"


def _workers(sample: Sample) -> Iterator[str]:
    for one in sample.workers[:MOST_WORKERS]:
        cpu = "-" if one.cpu is None else f"{one.cpu:.0%}"
        lag = f"{one.lag * 1000:.0f} ms"
        figures = f"process {one.pid}, sessions {one.sessions}, cpu {cpu}, lag {lag}"
        yield f"worker {one.worker}  {figures}"
    if len(sample.workers) > MOST_WORKERS:
        yield f"          and {len(sample.workers) - MOST_WORKERS} more workers"


def _results(sample: Sample) -> str:
    if sample.results is None:
        return "-"
    return ", ".join(
        f"{_CODES[name]} {sample.results[name]} ({sample.results[name] / WINDOW:.1f}/s)"
        for name in RESULTS
    )


def _queue(sample: Sample) -> str:
    if sample.queue is None:
        return "-"
    return ", ".join(f"{state} {count}" for state, count in sample.queue.items())
