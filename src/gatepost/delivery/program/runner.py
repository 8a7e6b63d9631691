"""Runs programs that take mail: writes to their input, reads their output and enforces the limits.

Theory of operation: each run has a thread, because reading a message from a file blocks. It waits
for the first of these: room in a pipe to the program, output, the end of the program, the order to
stop, the time limit. So a program may read late or not at all, and may write any amount: nothing
deadlocks. A run needs the memory of a pipe's buffer, one piece of the message and MAX_OUTPUT octets
of output; output beyond that is read and dropped.

Only the exit status decides whether the program took the mail; it may succeed without reading all
of it. A program that is late or cancelled is killed with its process group. Child processes that it
leaves running when it ends are not: some programs hand the mail to such a child.

Security: there is no shell. The environment is that of the run and contains nothing of the
server's. Only the pipes are inherited as descriptors. The program has its own session, so it has no
terminal.
"""

import asyncio
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from pathlib import Path

import msgspec

from gatepost.delivery.target import DeliveryError
from gatepost.disk.threads import run_to_end

MAX_OUTPUT = 4096
UMASK = 0o077  # files with mail are for their owner, unless the program decides otherwise
READ_SIZE = 64 * 1024
TICK = 0.05  # seconds between checks if the system cannot wait for a process and a pipe

NOT_DELIVERED = "Temporary delivery failure, please try again later"


class ProgramRun(msgspec.Struct, frozen=True, eq=False):
    """One run of a program in a folder; `inputs` are read at descriptor 0, and optionally 1."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    inputs: Mapping[int, Iterable[bytes]]


class ExitResult(msgspec.Struct, frozen=True):
    """The exit status of a program, negative for a signal, and its first line of output."""

    status: int
    output: str


class ProgramRunner:
    """Runs at most `concurrency` programs at once, each for at most `timeout` seconds."""

    def __init__(self, *, timeout: float, concurrency: int) -> None:
        self._timeout = timeout
        self._slots = asyncio.Semaphore(concurrency)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="program")

    async def run(self, run: ProgramRun) -> ExitResult:
        """Return how the program ended; raise `DeliveryError` if it did not end by itself.

        Waiting for a free slot has a time limit of its own, of the same length.
        """
        try:
            async with asyncio.timeout(self._timeout):
                await self._slots.acquire()
        except TimeoutError:
            raise _failed(run, "too many programs are running already") from None
        try:
            return await self._run_in_thread(run)
        finally:
            self._slots.release()

    async def _run_in_thread(self, run: ProgramRun) -> ExitResult:
        stop_reader, stop_writer = os.pipe()
        try:
            loop = asyncio.get_running_loop()
            work = loop.run_in_executor(self._threads, run_program, run, self._timeout, stop_reader)
            return await run_to_end(work, cancel=lambda: os.write(stop_writer, b"."))
        finally:
            os.close(stop_reader)
            os.close(stop_writer)

    def stop(self) -> None:
        """Release the threads."""
        self._threads.shutdown(wait=False)


def run_program(run: ProgramRun, timeout: float, stop: int) -> ExitResult:
    """Run a program in this thread, until the descriptor `stop` is readable.

    Raise `DeliveryError` if the program cannot be started, is late or was stopped, and any error of
    the inputs. No process is left then.
    """
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        inputs = {at: _open_input(stack, selector, data) for at, data in run.inputs.items()}
        output = _Output(stack)
        selector.register(output.reader, selectors.EVENT_READ, output.read)
        selector.register(stop, selectors.EVENT_READ, _stopped(run))
        process = _start(run, inputs, output.writer)
        with _killed_on_error(process):
            _watch(stack, selector, process)
            _serve(run, selector, process, timeout, stop)
        output.read()
        return ExitResult(process.returncode, output.first_line())


def _start(
    run: ProgramRun, inputs: Mapping[int, FileIO], output: FileIO
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - the arguments are a list, and there is no shell
            run.arguments,
            stdin=inputs[0],
            stdout=inputs.get(1, output),
            stderr=output,
            cwd=run.folder,
            env=run.environment,
            umask=UMASK,
            start_new_session=True,
        )
    except OSError as error:
        raise _failed(run, f"could not be started: {error}") from error
    finally:
        for file in (*inputs.values(), output):
            file.close()


def _serve(
    run: ProgramRun,
    selector: selectors.BaseSelector,
    process: subprocess.Popen[bytes],
    timeout: float,
    stop: int,
) -> None:
    """Write to the program and read from it until it ends.

    The end of an input lets the program finish, so it must not come after the order to stop.
    """
    deadline = time.monotonic() + timeout
    wait = timeout if _can_wait() else TICK
    while process.poll() is None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise _failed(run, f"did not end within {timeout:g} s")
        for key, _ in selector.select(min(left, wait)):
            if not key.data():
                if any(one.fd == stop for one, _ in selector.select(0)):
                    _stopped(run)()
                selector.unregister(key.fileobj)
                assert isinstance(key.fileobj, FileIO)
                key.fileobj.close()


def _stopped(run: ProgramRun) -> Callable[[], bool]:
    def stop() -> bool:
        raise _failed(run, "stopped before it ended")

    return stop


@contextmanager
def _killed_on_error(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def _can_wait() -> bool:
    return hasattr(os, "pidfd_open")


def _watch(
    stack: ExitStack, selector: selectors.BaseSelector, process: subprocess.Popen[bytes]
) -> None:
    """Wake the selector when the process ends."""
    if _can_wait():
        descriptor = os.pidfd_open(process.pid)
        stack.callback(os.close, descriptor)
        selector.register(descriptor, selectors.EVENT_READ, lambda: True)


def _pipe(stack: ExitStack) -> tuple[FileIO, FileIO]:
    """Return a pipe's ends for reading and for writing, which the stack closes."""
    reader, writer = os.pipe()
    return stack.enter_context(FileIO(reader, "r")), stack.enter_context(FileIO(writer, "w"))


def _open_input(
    stack: ExitStack, selector: selectors.BaseSelector, pieces: Iterable[bytes]
) -> FileIO:
    """Have the selector write the pieces to a new pipe; return the program's end of it."""
    reader, writer = _pipe(stack)
    os.set_blocking(writer.fileno(), False)
    selector.register(writer, selectors.EVENT_WRITE, _Input(writer, pieces).write)
    return reader


class _Input:
    """Pieces to write into a pipe."""

    def __init__(self, writer: FileIO, pieces: Iterable[bytes]) -> None:
        self._writer = writer
        self._pieces = filter(None, pieces)
        self._rest = memoryview(b"")

    def write(self) -> bool:
        """Write as much as the pipe accepts; return whether there is more."""
        self._rest = self._rest or memoryview(next(self._pieces, b""))
        if self._rest:
            with suppress(BrokenPipeError):
                self._rest = self._rest[self._writer.write(self._rest) or 0 :]
                return True
        return False


class _Output:
    """The output of a program, of which the start is kept."""

    def __init__(self, stack: ExitStack) -> None:
        self.reader, self.writer = _pipe(stack)
        os.set_blocking(self.reader.fileno(), False)
        self._start = bytearray()

    def read(self) -> bool:
        """Read at most READ_SIZE octets; return whether there may be more."""
        piece = b"" if self.reader.closed else self.reader.read(READ_SIZE)
        if piece:
            self._start += piece[: MAX_OUTPUT - len(self._start)]
        return piece != b""

    def first_line(self) -> str:
        """Return the first line that is not empty, printable."""
        text = self._start.decode("utf-8", "replace").strip()
        return "".join(filter(str.isprintable, text.partition("\n")[0]))


def _failed(run: ProgramRun, problem: str) -> DeliveryError:
    return DeliveryError(NOT_DELIVERED, detail=f"{run.arguments[0]}: {problem}")
