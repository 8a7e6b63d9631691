"""`gatepost status`: whether the server runs and is well, for people and for Nagios."""

import time
from collections.abc import Iterator
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Any

import click
import msgspec

from gatepost.checks.health import ServerHealth, health_of
from gatepost.cli.shared.output import Failure, print_error, print_json, print_line
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.ledger.words.wording import counted
from gatepost.log.os_error import describe_os_error
from gatepost.metrics.report import about


class Level(IntEnum):
    """The exit status, as Nagios defines it."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@click.command(epilog="Example: gatepost status -c /etc/gatepost/gatepost.toml")
@config_option
@json_option
def command(file: Path, *, as_json: bool) -> int:
    """Show whether the server of a configuration runs, its workers, its queue and warnings.

    The first line is for Nagios. The exit status is 0 if all is well, 1 if there is a warning, 2 if
    the server does not run or accepts no connections, and 3 if this cannot be found out.
    """
    try:
        health = health_of(read_config(file))
    except Failure as error:
        return _unknown(error.format_message(), as_json=as_json)
    except OSError as error:
        return _unknown(describe_os_error(error), as_json=as_json)
    level = level_of(health)
    if as_json:
        print_json({"level": level.name.lower(), **msgspec.to_builtins(health)})
    else:
        for line in lines(health, level, time.time()):
            print_line(line)
    return level


def _unknown(problem: str, *, as_json: bool) -> int:
    if as_json:
        print_json({"level": "unknown", "problems": problem.splitlines()})
    else:
        print_line(f"UNKNOWN - {problem.splitlines()[0]}")
    print_error(problem)
    return Level.UNKNOWN


def level_of(health: ServerHealth) -> Level:
    """Return how serious the state is."""
    if health.problems:
        return Level.CRITICAL
    return Level.WARNING if health.warnings else Level.OK


def lines(health: ServerHealth, level: Level, now: float) -> Iterator[str]:
    """Yield the lines for people, the first one also for Nagios."""
    first, *_ = (*health.problems, *health.warnings, _summary(health, now))
    yield f"{level.name} - {first.replace('|', '/')} | {_figures(health)}"
    if health.state is not None:
        yield from _server(health, now)
    yield from (f"problem   {one}" for one in health.problems)
    yield from (f"warning   {one}" for one in health.warnings)
    yield from (f"note      {one}" for one in health.notes)


def _summary(health: ServerHealth, now: float) -> str:
    state = health.state
    if state is None:
        return "not running"
    ready = sum(one.ready for one in health.workers)
    workers = counted(ready, "worker")
    return f"Gatepost {state.version} has run for {about(now - state.since)} with {workers}"


def _figures(health: ServerHealth) -> str:
    """Return the performance data of Nagios."""
    figures: dict[str, Any] = {"sessions": health.sessions}
    if health.queue is not None:
        queue = health.queue
        figures |= {"active": queue.active, "deferred": queue.deferred, "held": queue.held}
        figures |= {"quarantined": queue.quarantined, "oldest": f"{int(queue.oldest)}s"}
    return " ".join(f"{name}={value}" for name, value in figures.items())


def _server(health: ServerHealth, now: float) -> Iterator[str]:
    state, queue = health.state, health.queue
    assert state is not None
    yield f"version   {state.version}, process {state.pid}"
    yield f"since     {_time(state.since)}, {about(now - state.since)}"
    for one in health.workers:
        ready = "ready" if one.ready else "not ready"
        sessions = "" if one.sessions is None else f", sessions {one.sessions}"
        yield f"worker    {one.pid} {ready}{sessions}"
    if queue is not None:
        oldest = f", oldest {about(queue.oldest)}" if queue.oldest else ""
        yield (
            f"queue     active {queue.active}, deferred {queue.deferred}, held {queue.held}{oldest}"
        )
        if queue.quarantined:
            yield f"held      in quarantine {counted(queue.quarantined, 'message')}"
    if state.reload is not None:
        result = "failed" if state.reload.problems else "ok"
        yield f"reload    {_time(state.reload.time)} {result}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds)).astimezone().isoformat(sep=" ")
