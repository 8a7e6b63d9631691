"""Run a program that reads a message from its standard input, and keep what it writes.

There is no shell: the arguments are a list. The program has an environment of its own, a session of
its own and no open files of the server. It may read the message late, in part or not at all.

Trusts: the program. Limits: MOST octets of output, more is a failure; the first octets of its error
output are kept for the log. A program that has not ended when the caller gives up is killed with
its child processes. The end of its output is waited for, so a child process that it leaves behind
must not keep that open.
"""

import asyncio
import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, cast

from gatepost.plugins._exchange import UnreachableError

MOST = 65536
_MOST_ERRORS = 500
_IN, _OUT, _ERRORS = 0, 1, 2


class Ended(NamedTuple):
    """The end of a program: its exit status (negative for a signal), and its output."""

    status: int
    output: bytes
    errors: bytes


class _Run(asyncio.SubprocessProtocol):
    """One run of a program."""

    def __init__(self) -> None:
        self._reads_no_more = False
        self._can_write = asyncio.Event()
        self._can_write.set()
        self.output = {_OUT: bytearray(), _ERRORS: bytearray()}
        self.is_over = asyncio.Event()
        self.problem = ""
        self.has_ended = asyncio.Event()
        self._open = {_OUT, _ERRORS}

    def pause_writing(self) -> None:
        self._can_write.clear()

    def resume_writing(self) -> None:
        self._can_write.set()

    def end(self) -> None:
        """Send nothing more, because the program does not read it."""
        self._reads_no_more = True
        self._can_write.set()

    async def send(self, transport: asyncio.WriteTransport, pieces: Iterable[bytes]) -> None:
        """Write pieces until the end."""
        for piece in pieces:
            if self._reads_no_more or transport.is_closing():
                return
            transport.write(piece)
            await asyncio.sleep(0)  # other sessions go on, and the end is seen
            await self._can_write.wait()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        kept = self.output[fd]
        if fd == _ERRORS:
            kept += data[: _MOST_ERRORS - len(kept)]
        elif len(kept) + len(data) > MOST:
            self.problem = f"wrote more than {MOST} octets"
            self.end()
            self.is_over.set()
        else:
            kept += data

    def pipe_connection_lost(self, fd: int, _exc: Exception | None) -> None:
        if fd == _IN:
            self.end()
        self._open.discard(fd)
        self._check_over()

    def process_exited(self) -> None:
        self.has_ended.set()
        self.end()
        self._check_over()

    def _check_over(self) -> None:
        if self.has_ended.is_set() and not self._open:
            self.is_over.set()


async def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    pieces: Iterable[bytes],
) -> Ended:
    """Return how a program ended; raises OSError if it writes too much.

    Raises `UnreachableError` if it cannot be started.
    """
    try:
        transport, talk = await asyncio.get_running_loop().subprocess_exec(
            _Run,
            *arguments,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    except OSError as error:
        raise UnreachableError(str(error)) from error
    try:
        stdin = cast("asyncio.WriteTransport", transport.get_pipe_transport(_IN))
        await talk.send(stdin, pieces)
        stdin.close()
        await talk.is_over.wait()
        status = transport.get_returncode()
    finally:
        await _end(transport, talk)
    if talk.problem or status is None:
        raise OSError(f"{arguments[0]} {talk.problem}")
    return Ended(status, bytes(talk.output[_OUT]), bytes(talk.output[_ERRORS]))


async def _end(transport: asyncio.SubprocessTransport, talk: _Run) -> None:
    """Kill a program that still runs, and its child processes."""
    if transport.get_returncode() is None:
        with suppress(ProcessLookupError):
            os.killpg(transport.get_pid(), signal.SIGKILL)
    cancelled = None
    while not talk.has_ended.is_set():  # at once, unless the system is in trouble
        try:
            await talk.has_ended.wait()
        except asyncio.CancelledError as error:
            cancelled = error
    transport.close()
    if cancelled is not None:
        raise cancelled
