"""Running programs: input, output, time limits and kills."""

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
    """Return a named pipe: opening it to read waits for a writer."""
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
    """Run with and without pidfd_open."""
    if request.param == "tick":
        monkeypatch.delattr(os, "pidfd_open", raising=False)


@pytest.mark.usefixtures("_waiting")
def test_all_input_is_written_and_the_first_line_is_kept(tmp_path):
    path = script(tmp_path, "cat > taken; echo; echo ' first'; echo second >&2; exit 3")
    assert run(job(path, feed=[b"a" * 300_000, b"", b"b"])) == ExitResult(3, "first")
    assert (tmp_path / "taken").read_bytes() == b"a" * 300_000 + b"b"


@pytest.mark.usefixtures("_waiting")
@pytest.mark.parametrize("status", [0, 75])
def test_a_program_need_not_read(tmp_path, status):
    path = script(tmp_path, f"exec 0<&-; exit {status}")
    assert run(job(path, feed=[b"x" * 100_000] * 100)) == ExitResult(status, "")


def test_the_start_of_long_output_is_kept(tmp_path):
    path = python(tmp_path, "import sys; print('x' * 3_000_000, file=sys.stderr); input(); exit(1)")
    assert run(job(path, feed=[b"y" * 3_000_000])) == ExitResult(1, "x" * MAX_OUTPUT)


def test_output_is_made_printable(tmp_path):
    path = python(tmp_path, r"import os; os.write(1, b'\xff\033[1mbold\0\rx\n')")
    assert run(job(path)) == ExitResult(0, "\ufffd[1mboldx")


def test_a_signal_is_a_negative_status(tmp_path):
    path = script(tmp_path, "kill -TERM $$")
    assert run(job(path)) == ExitResult(-signal.SIGTERM, "")


def test_a_remaining_child_is_not_waited_for(tmp_path):
    held = fifo(tmp_path)
    path = script(tmp_path, f"cat {held} >/dev/null & echo text")
    assert run(job(path)) == ExitResult(0, "text")
    held.write_bytes(b"the end")


def test_a_program_can_have_two_inputs(tmp_path):
    path = python(tmp_path, "import os; open('taken', 'wb').write(os.read(0, 9) + os.read(1, 9))")
    what = ProgramRun([str(path)], {}, tmp_path, {0: [b"zero"], 1: [b"one"]})
    assert run(what) == ExitResult(0, "")
    assert (tmp_path / "taken").read_bytes() == b"zeroone"


def test_the_environment_folder_and_descriptors(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    inherited = os.open("/dev/null", os.O_RDONLY)
    path = python(
        tmp_path,
        "import os; print(dict(os.environ), os.getcwd(), os.getsid(0) == os.getpid(),"
        " [n for n in range(3, 99) if os.path.exists(f'/proc/self/fd/{n}')])",
    )
    end = run(ProgramRun([str(path)], {"A": "b"}, tmp_path, {0: ()}))
    os.close(inherited)
    environment = "{'A': 'b', 'LC_CTYPE': 'C.UTF-8'}"  # LC_CTYPE is set by Python
    assert end.output in {f"{environment} {tmp_path} True []", f"{{'A': 'b'}} {tmp_path} True []"}


@pytest.mark.parametrize(
    ("name", "mode", "reason"),
    [("absent", None, "No such file"), ("plain", 0o644, "Permission denied")],
)
def test_a_program_that_cannot_be_started(tmp_path, name, mode, reason):
    path = tmp_path / name
    if mode is not None:
        path.touch(mode)
    assert failure(job(path)).startswith(f"{path}: could not be started: [Errno")
    assert reason in failure(job(path))


def test_a_file_that_is_not_a_program(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"\x00\x01\x02")
    path.chmod(0o755)
    assert "Exec format error" in failure(job(path))


@needs_pidfd
def test_a_late_program_is_killed_with_its_group(tmp_path, monkeypatch):
    child = tmp_path / "child"
    path = script(tmp_path, "sleep 1000 & echo $! > child.part; mv child.part child; sleep 1000")
    minutes = count(step=61)  # the child may exist before the deadline is set
    late = SimpleNamespace(monotonic=lambda: next(minutes) if child.exists() else 0.0)
    monkeypatch.setattr(runner_module, "time", late)
    # without pidfd the runner checks the time again and again
    monkeypatch.setattr(runner_module, "_can_wait", lambda: False)
    assert failure(job(path)) == f"{path}: did not end within 60 s"
    assert ends(child.read_text())


def test_an_error_of_the_input_kills_the_program(tmp_path):
    def feed():
        yield b"x"
        raise ValueError("no more")

    path = script(tmp_path, "cat > /dev/null; touch finished")
    with pytest.raises(ValueError, match="no more"):
        run(job(path, feed=feed()))
    assert not (tmp_path / "finished").exists()


@needs_pidfd
def test_a_cancelled_program_is_killed(tmp_path):
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


def test_the_number_of_running_programs_is_limited(tmp_path):
    """The second starts after the first has ended; otherwise it finds its mark."""
    path = script(tmp_path, "mkdir mark && cat >/dev/null && rmdir mark")

    async def inside():
        runner = ProgramRunner(timeout=60.0, concurrency=1)
        ends = await asyncio.gather(*(runner.run(job(path)) for _ in range(5)))
        runner.stop()
        return ends

    assert asyncio.run(inside()) == [ExitResult(0, "")] * 5


def test_waiting_too_long_for_a_slot_is_an_error(tmp_path):
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
        first.exception()  # late or not, depending on the machine
        runner.stop()
        return caught.value.detail

    assert asyncio.run(inside()) == f"{path}: too many programs are running already"
