"""ProgramRunner that run: what they are fed, when they end, and how they are ended."""

import asyncio
import os
import select
import signal
import threading
from itertools import count
from types import SimpleNamespace

import pytest
from tests.delivery.programs import python, script

from gatepost.delivery.program import runner as runner_module
from gatepost.delivery.program.runner import (
    MAX_OUTPUT,
    NOT_DELIVERED,
    ExitResult,
    ProgramRun,
    ProgramRunner,
)
from gatepost.delivery.target import DeliveryError


def job(path, *arguments, feed=()):
    return ProgramRun([str(path), *arguments], {"PATH": os.environ["PATH"]}, path.parent, {0: feed})


def run(what, timeout=60.0, concurrency=1):
    async def inside():
        runner = ProgramRunner(timeout=timeout, concurrency=concurrency)
        try:
            return await runner.run(what)
        finally:
            runner.stop()

    return asyncio.run(inside())


def failure(what, **options):
    with pytest.raises(DeliveryError) as caught:
        run(what, **options)
    assert caught.value.text == NOT_DELIVERED
    assert not caught.value.permanent
    return caught.value.detail


def fifo(folder, name="fifo"):
    """A named pipe: who opens it to read knows that the other end was opened to write."""
    os.mkfifo(folder / name)
    return folder / name


def ends(pid):
    """Wait for the end of a process."""
    try:
        descriptor = PIDFD_OPEN(int(pid))
    except ProcessLookupError:
        return True
    ended = select.select([descriptor], [], [], 60)[0]
    os.close(descriptor)
    return bool(ended)


PIDFD_OPEN = getattr(os, "pidfd_open", None)
needs_pidfd = pytest.mark.skipif(PIDFD_OPEN is None, reason="needs pidfd_open")


@pytest.fixture(params=["pidfd", "tick"])
def _waiting(request, monkeypatch):
    """With and without what Linux has for waiting for a process."""
    if request.param == "tick":
        monkeypatch.delattr(os, "pidfd_open", raising=False)


@pytest.mark.usefixtures("_waiting")
def test_it_reads_all_and_its_first_line_is_heard(tmp_path):
    path = script(tmp_path, "cat > taken; echo; echo ' first'; echo second >&2; exit 3")
    assert run(job(path, feed=[b"a" * 300_000, b"", b"b"])) == ExitResult(3, "first")
    assert (tmp_path / "taken").read_bytes() == b"a" * 300_000 + b"b"


@pytest.mark.usefixtures("_waiting")
@pytest.mark.parametrize("status", [0, 75])
def test_one_that_does_not_read(tmp_path, status):
    path = script(tmp_path, f"exec 0<&-; exit {status}")
    assert run(job(path, feed=[b"x" * 100_000] * 100)) == ExitResult(status, "")


def test_output_without_end_is_read_and_its_beginning_kept(tmp_path):
    path = python(tmp_path, "import sys; print('x' * 3_000_000, file=sys.stderr); input(); exit(1)")
    assert run(job(path, feed=[b"y" * 3_000_000])) == ExitResult(1, "x" * MAX_OUTPUT)


def test_what_it_says_is_made_printable(tmp_path):
    path = python(tmp_path, r"import os; os.write(1, b'\xff\033[1mbold\0\rx\n')")
    assert run(job(path)) == ExitResult(0, "\ufffd[1mboldx")


def test_a_signal(tmp_path):
    path = script(tmp_path, "kill -TERM $$")
    assert run(job(path)) == ExitResult(-signal.SIGTERM, "")


def test_a_child_that_stays_is_not_waited_for(tmp_path):
    held = fifo(tmp_path)
    path = script(tmp_path, f"cat {held} >/dev/null & echo said")
    assert run(job(path)) == ExitResult(0, "said")
    held.write_bytes(b"the end")


def test_two_feeds(tmp_path):
    path = python(tmp_path, "import os; open('taken', 'wb').write(os.read(0, 9) + os.read(1, 9))")
    what = ProgramRun([str(path)], {}, tmp_path, {0: [b"zero"], 1: [b"one"]})
    assert run(what) == ExitResult(0, "")
    assert (tmp_path / "taken").read_bytes() == b"zeroone"


def test_the_surroundings(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    inherited = os.open("/dev/null", os.O_RDONLY)
    path = python(
        tmp_path,
        "import os; print(dict(os.environ), os.getcwd(), os.getsid(0) == os.getpid(),"
        " [n for n in range(3, 99) if os.path.exists(f'/proc/self/fd/{n}')])",
    )
    end = run(ProgramRun([str(path)], {"A": "b"}, tmp_path, {0: ()}))
    os.close(inherited)
    environment = "{'A': 'b', 'LC_CTYPE': 'C.UTF-8'}"  # the latter is Python's own doing
    assert end.output in {f"{environment} {tmp_path} True []", f"{{'A': 'b'}} {tmp_path} True []"}


@pytest.mark.parametrize(
    ("name", "mode", "reason"),
    [("absent", None, "No such file"), ("plain", 0o644, "Permission denied")],
)
def test_one_that_cannot_be_started(tmp_path, name, mode, reason):
    path = tmp_path / name
    if mode is not None:
        path.touch(mode)
    assert failure(job(path)).startswith(f"{path}: could not be started: [Errno")
    assert reason in failure(job(path))


def test_a_file_that_is_no_program(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"\x00\x01\x02")
    path.chmod(0o755)
    assert "Exec format error" in failure(job(path))


@needs_pidfd
def test_one_that_is_late_is_killed_with_its_family(tmp_path, monkeypatch):
    child = tmp_path / "child"
    path = script(tmp_path, "sleep 1000 & echo $! > child.part; mv child.part child; sleep 1000")
    minutes = count(step=61)  # the child may be there before the deadline is set
    late = SimpleNamespace(monotonic=lambda: next(minutes) if child.exists() else 0.0)
    monkeypatch.setattr(runner_module, "time", late)
    # without pidfd the runner checks the time again and again
    monkeypatch.setattr(runner_module, "_can_wait", lambda: False)
    assert failure(job(path)) == f"{path}: did not end within 60 s"
    assert ends(child.read_text())


def test_an_error_of_the_feed_kills_it(tmp_path):
    def feed():
        yield b"x"
        raise ValueError("no more")

    path = script(tmp_path, "cat > /dev/null; touch finished")
    with pytest.raises(ValueError, match="no more"):
        run(job(path, feed=feed()))
    assert not (tmp_path / "finished").exists()


@needs_pidfd
def test_cancelled_it_is_killed(tmp_path):
    held = fifo(tmp_path)
    path = script(tmp_path, f"echo $$ > {held}; exec sleep 1000")

    async def inside():
        runner = ProgramRunner(timeout=60.0, concurrency=1)
        task = asyncio.create_task(runner.run(job(path)))
        pid = await asyncio.to_thread(held.read_text)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        runner.stop()
        return pid

    assert ends(asyncio.run(inside()))


def test_only_so_many_at_a_time(tmp_path):
    """The second starts when the first has ended: it would find its mark otherwise."""
    path = script(tmp_path, "mkdir mark && cat >/dev/null && rmdir mark")

    async def inside():
        runner = ProgramRunner(timeout=60.0, concurrency=1)
        ends = await asyncio.gather(*(runner.run(job(path)) for _ in range(5)))
        runner.stop()
        return ends

    assert asyncio.run(inside()) == [ExitResult(0, "")] * 5


def test_who_waits_too_long_for_a_turn(tmp_path):
    started, proceed = threading.Event(), threading.Event()

    def feed():
        started.set()
        proceed.wait()
        yield b"x"

    path = script(tmp_path, "cat > /dev/null")

    async def inside():
        runner = ProgramRunner(timeout=0.1, concurrency=1)
        first = asyncio.create_task(runner.run(job(path, feed=feed())))
        await asyncio.to_thread(started.wait)
        try:
            with pytest.raises(DeliveryError) as caught:
                await runner.run(job(path))
        finally:
            proceed.set()
        await asyncio.wait([first])
        first.exception()  # late, or not: it depends on the machine
        runner.stop()
        return caught.value.detail

    assert asyncio.run(inside()) == f"{path}: too many programs are running already"
