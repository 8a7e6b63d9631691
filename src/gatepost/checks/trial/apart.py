"""Run a trial in a process of its own, for programs that must go on whatever a plugin does.

The process and all that it has started in its session are killed at the end. See `child` for its
own limits.

Trusts: the plugins of the configuration, which run with the rights of this process. The answer is
decoded strictly all the same.
Limits: `seconds` for everything, MOST_ANSWER octets, MOST_LOG octets of the log.
"""

import asyncio
import os
import pickle
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec

from gatepost.checks.trial.envelope import Envelope
from gatepost.checks.trial.result import Trial
from gatepost.checks.trial.task import Task, decode_answer, too_long
from gatepost.config.schema import Config
from gatepost.ledger.records import Record
from gatepost.net.unnamed import unnamed
from gatepost.process.interpreter import describe_exit
from gatepost.process.systemd import VARIABLES

MODULE = "gatepost.checks.trial.child"
MOST_ANSWER = 8 * 1024 * 1024
MOST_LOG = 64 * 1024
_READ = 64 * 1024
# Seconds that the process has to end after SIGTERM.
_GRACE = 1.0


class Finished(NamedTuple):
    """A trial, what was logged, and the records that the ledger would have."""

    trial: Trial
    log: str
    records: Sequence[Record]


class TrialError(Exception):
    """A trial that could not be made; one line for each problem. `log` is what was logged."""

    def __init__(self, problem: str, log: str = "") -> None:
        super().__init__(problem)
        self.log = log


async def run_apart(
    config: Config | str, envelope: Envelope, content: bytes, seconds: float
) -> Finished:
    """Try a message with a configuration, or the one in a file; raises `TrialError` or OSError."""
    process = await _started(Task(config, envelope, content, seconds))
    output, log = bytearray(), bytearray()
    try:
        async with asyncio.timeout(seconds + _GRACE):
            await _read(process, output, log)
            status = await process.wait()
    except TimeoutError:
        raise TrialError(too_long(seconds), _text(log)) from None
    finally:
        await _end(process)
    return _finished(bytes(output), status, _text(log))


async def _started(task: Task) -> Process:
    with unnamed() as given:
        pickle.dump(task, given)
        given.seek(0)
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", MODULE),
            stdin=given,
            stdout=PIPE,
            stderr=PIPE,
            env={key: text for key, text in os.environ.items() if key not in VARIABLES},
            start_new_session=True,
        )


async def _read(process: Process, output: bytearray, log: bytearray) -> None:
    """Read both pipes until their end."""
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.TaskGroup() as group:
        group.create_task(_keep(process.stdout, output, MOST_ANSWER))
        group.create_task(_keep(process.stderr, log, MOST_LOG))


async def _keep(stream: asyncio.StreamReader, kept: bytearray, most: int) -> None:
    """Read a pipe until its end, and keep the first octets."""
    while octets := await stream.read(_READ):
        kept += octets[: most - len(kept)]


async def _end(process: Process) -> None:
    """End the process if it runs, and kill what it has left behind in its session."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _finished(output: bytes, status: int, log: str) -> Finished:
    """Return the trial of an answer; raises `TrialError`."""
    try:
        answer = decode_answer(output)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        problem = f"The process of the trial has failed: {describe_exit(status)}."
        raise TrialError(problem, log) from error
    if answer.trial is None:
        raise TrialError(answer.problem, log)
    return Finished(answer.trial, log, answer.records)


def _text(octets: bytearray) -> str:
    more = " …" if len(octets) == MOST_LOG else ""
    return octets.decode(errors="replace") + more
