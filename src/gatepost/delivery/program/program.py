"""Runs programs that take mail: feeds them, hears the first they say, and knows when to stop.

Theory of operation: each run has a thread, for reading a message from a file blocks. It waits for
whatever comes first: room in a pipe to the program, output, its end, the order to stop, the time
limit. So a program may read late or not at all and write as much as it likes: nothing deadlocks.
No more than a pipe's buffer and one piece of the message are in memory for it, and MAX_SAID octets
of output; what it says beyond is read and dropped.

Its exit status alone says whether it took the mail: one that succeeds without reading to the end
has what it wanted. Late or cancelled, it is killed with all its process group. What it leaves
running after its own end is none of our business – some hand the mail to a child that stays.

Security: no shell, ever. The environment is what the job says and nothing of the server's; no
descriptor is inherited but the pipes; the program has a session of its own, so no terminal.
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

MAX_SAID = 4096
READ_SIZE = 64 * 1024
TICK = 0.05  # seconds between two looks, where the system cannot wait for a process and a pipe

NOT_NOW = "The message could not be delivered now, please try again later"


class Job(msgspec.Struct, frozen=True, eq=False):
    """What to run, in which folder, and what it is to read: at descriptor 0, maybe also at 1."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    feeds: Mapping[int, Iterable[bytes]]


class End(msgspec.Struct, frozen=True):
    """How a program ended: its exit status (a signal is negative) and its first line of output."""

    status: int
    said: str


class Programs:
    """Runs jobs: at most `concurrency` at a time, each for at most `timeout` seconds."""

    def __init__(self, *, timeout: float, concurrency: int) -> None:
        self._timeout = timeout
        self._slots = asyncio.Semaphore(concurrency)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="program")

    async def run(self, job: Job) -> End:
        """Return how the program ended; raises `DeliveryError` if it did not by itself.

        ReadyQueue for others to end counts towards no time limit but has the same.
        """
        try:
            async with asyncio.timeout(self._timeout):
                await self._slots.acquire()
        except TimeoutError:
            raise _failed(job, "too many are running already") from None
        try:
            return await self._in_thread(job)
        finally:
            self._slots.release()

    async def _in_thread(self, job: Job) -> End:
        hear, say = os.pipe()
        try:
            loop = asyncio.get_running_loop()
            work = loop.run_in_executor(self._threads, run, job, self._timeout, hear)
            return await run_to_end(work, cancel=lambda: os.write(say, b"."))
        finally:
            os.close(hear)
            os.close(say)

    async def stop(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False)


def run(job: Job, timeout: float, stop: int) -> End:
    """Run a job in this thread, until the descriptor `stop` has something to read at the latest.

    Raises `DeliveryError` where the program cannot be started, is late or was stopped, and
    whatever reading the feeds raises; no process is left then.
    """
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        theirs = {number: _feed(stack, selector, pieces) for number, pieces in job.feeds.items()}
        output = _Output(stack)
        selector.register(output.ours, selectors.EVENT_READ, output.read)
        selector.register(stop, selectors.EVENT_READ, _stopped(job))
        process = _start(job, theirs, output.theirs)
        with _killed_on_error(process):
            _watch(stack, selector, process)
            _attend(job, selector, process, timeout)
        output.read()
        return End(process.returncode, output.first_line())


def _start(job: Job, inputs: Mapping[int, FileIO], output: FileIO) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - the arguments are a list, and there is no shell
            job.arguments,
            stdin=inputs[0],
            stdout=inputs.get(1, output),
            stderr=output,
            cwd=job.folder,
            env=job.environment,
            start_new_session=True,
        )
    except OSError as error:
        raise _failed(job, f"could not be started: {error}") from error
    finally:
        for file in (*inputs.values(), output):
            file.close()


def _attend(
    job: Job, selector: selectors.BaseSelector, process: subprocess.Popen[bytes], timeout: float
) -> None:
    """Serve the program until it ends."""
    deadline = time.monotonic() + timeout
    wait = timeout if _can_wait() else TICK
    while process.poll() is None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise _failed(job, f"did not end within {timeout:g} s")
        for key, _ in selector.select(min(left, wait)):
            if not key.data():
                selector.unregister(key.fileobj)
                assert isinstance(key.fileobj, FileIO)
                key.fileobj.close()


def _stopped(job: Job) -> Callable[[], bool]:
    def stop() -> bool:
        raise _failed(job, "stopped before it had ended")

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
    """Let the end of the process wake the selector."""
    if _can_wait():
        descriptor = os.pidfd_open(process.pid)
        stack.callback(os.close, descriptor)
        selector.register(descriptor, selectors.EVENT_READ, lambda: True)


def _pipe(stack: ExitStack) -> tuple[FileIO, FileIO]:
    """Return the ends to read from and to write to; they close with the stack, if not before."""
    reader, writer = os.pipe()
    return stack.enter_context(FileIO(reader, "r")), stack.enter_context(FileIO(writer, "w"))


def _feed(stack: ExitStack, selector: selectors.BaseSelector, pieces: Iterable[bytes]) -> FileIO:
    """Let the selector feed the pieces to a new pipe; return the program's end of it."""
    theirs, ours = _pipe(stack)
    os.set_blocking(ours.fileno(), False)
    selector.register(ours, selectors.EVENT_WRITE, _Feed(ours, pieces).write)
    return theirs


class _Feed:
    """Pieces on their way into a pipe."""

    def __init__(self, ours: FileIO, pieces: Iterable[bytes]) -> None:
        self._ours = ours
        self._pieces = filter(None, pieces)
        self._rest = memoryview(b"")

    def write(self) -> bool:
        """Write what there is room for; return whether to come again."""
        self._rest = self._rest or memoryview(next(self._pieces, b""))
        if self._rest:
            with suppress(BrokenPipeError):
                self._rest = self._rest[self._ours.write(self._rest) or 0 :]
                return True
        return False


class _Output:
    """What the program says, of which the beginning is kept."""

    def __init__(self, stack: ExitStack) -> None:
        self.ours, self.theirs = _pipe(stack)
        os.set_blocking(self.ours.fileno(), False)
        self._said = bytearray()

    def read(self) -> bool:
        """Read what there is, up to READ_SIZE; return whether to come again."""
        piece = b"" if self.ours.closed else self.ours.read(READ_SIZE)
        if piece:
            self._said += piece[: MAX_SAID - len(self._said)]
        return piece != b""

    def first_line(self) -> str:
        """Return the first line that says something, printable."""
        said = self._said.decode("utf-8", "replace").strip()
        return "".join(filter(str.isprintable, said.partition("\n")[0]))


def _failed(job: Job, what: str) -> DeliveryError:
    return DeliveryError(NOT_NOW, detail=f"{job.arguments[0]}: {what}")
