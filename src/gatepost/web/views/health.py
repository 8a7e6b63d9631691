"""The view Health: whether the machine is well.

Workers, warnings, the ledger, certificates, lists and the time of plugins, from the files that
`gatepost status` reads.
"""

from collections.abc import Sequence

from gatepost.checks.health import ServerHealth
from gatepost.ledger.store import LedgerError
from gatepost.metrics.report import Report, WorkerReport
from gatepost.web.filters import Filters
from gatepost.web.source import Source
from gatepost.web.table import Column, Row, Table
from gatepost.web.views.view import Shown

# A worker that has sent no status.
_SILENT = WorkerReport(0, 0, 0.0, 0, 0.0)
_NO_REPORT = "The ledger process has sent no report. It does so every few seconds."


def query(source: Source, _filters: Filters) -> Shown:
    """Return the state of the server; raises OSError."""
    health = source.health()
    report = source.report() or Report(0.0)
    state = health.state
    facts = {
        "health": health,
        "level": health.level,
        "since": state.since if state else 0.0,
        "version": state.version if state else "",
        "reload": state.reload if state else None,
        "checks": _checks(source, health, report),
    }
    tables = [
        _workers(health, report),
        _plugins(report),
        _lists(report, source.now),
        _certificates(report, source.now),
    ]
    return Shown(tables, facts)


def _checks(source: Source, health: ServerHealth, report: Report) -> list[tuple[str, str, bool]]:
    """Return the parts of the server: name, state, and whether it is well."""
    ready = sum(one.ready for one in health.workers)
    silent, degraded = report.silent, report.degraded
    return [
        ("Workers", f"{ready} ready, {health.sessions} sessions", ready > 0),
        ("Ledger", *_ledger(source, report)),
        ("Store", f"unavailable in {degraded} workers" if degraded else "available", not degraded),
        ("DNS", f"no answer in {silent} workers" if silent else "answers", not silent),
    ]


def _ledger(source: Source, report: Report) -> tuple[str, bool]:
    try:
        extent = source.ledger.extent()
    except LedgerError as error:
        return str(error), not source.config.ledger.enabled
    records = f"{extent[0]:,} records" if extent else ""
    if report.dropped:
        return f"{records}, {report.dropped:,} lost", False
    return records, not source.ledger.problems


def _workers(health: ServerHealth, report: Report) -> Table:
    columns = (
        Column("pid", "Process"),
        Column("state", "State", "result"),
        Column("sessions", "Sessions", "count"),
        Column("started", "Started", "time"),
        Column("configured", "Configuration of", "time"),
        Column("lag", "Delay of its loop", "seconds"),
        Column("memory", "Memory", "octets"),
        Column("files", "Open files", "count"),
    )
    reports = {one.pid: one for one in report.workers}
    rows = []
    for one in health.workers:
        found = reports.get(one.pid, _SILENT)
        rows.append(
            Row(
                (
                    *(str(one.pid), one.state, one.sessions or 0, found.started, one.configured),
                    *(found.lag, found.memory, found.files),
                )
            )
        )
    empty = "No worker runs. `gatepost serve` starts them."
    old = "A worker that retires has the configuration before the last reload."
    note = old if any(one.retiring for one in health.workers) else ""
    return Table("workers", "Workers", columns, rows, empty, note)


def _plugins(report: Report) -> Table:
    columns = (
        Column("plugin", "Plugin"),
        Column("hook", "Hook"),
        Column("calls", "Calls", "count"),
        Column("median", "Half of them below", "limit"),
        Column("slow", "99 % below", "limit"),
        Column("timeouts", "Time-outs", "count"),
        Column("failures", "Failures", "count"),
    )
    rows = [
        Row(
            (
                *(one.plugin, one.hook, one.calls, one.median, one.slow),
                *(one.timeouts, one.failures - one.timeouts),
            )
        )
        for one in report.hooks
    ]
    empty = "No plugin has been called since the start of the workers."
    return Table("plugins", "Time of plugins", columns, rows, empty)


def _lists(report: Report, now: float) -> Table:
    columns: Sequence[Column] = (
        Column("path", "List"),
        Column("entries", "Entries", "count"),
        Column("age", "Read", "age"),
        Column("problem", "Problem"),
    )
    rows = [
        Row((one.path, one.entries, max(0.0, now - one.loaded) if one.loaded else 0.0, one.problem))
        for one in report.lists
    ]
    return Table(
        "lists", "Lists", columns, rows, "No list is configured." if report.time else _NO_REPORT
    )


def _certificates(report: Report, now: float) -> Table:
    columns = (
        Column("path", "Certificate"),
        Column("names", "Names"),
        Column("expires", "Expires", "time"),
        Column("days", "Days left", "count"),
        Column("problem", "Problem"),
    )
    rows = [
        Row(
            (
                one.path,
                ", ".join(one.names),
                one.expires,
                int((one.expires - now) // 86400),
                one.problem,
            )
        )
        for one in report.certificates
    ]
    return Table("certificates", "Certificates", columns, rows, "No certificate is in use.")
