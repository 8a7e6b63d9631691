"""Forked children: what they inherit, and how they end."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gatepost.process.fork import can_fork, fork_module

MODULE = "tests.process.forked"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are forked on Linux")


def run(given):
    """Run a child to its end; return its exit status and its output."""
    reader, writer = os.pipe()
    child = fork_module(MODULE, given, writer, ())
    os.close(writer)
    with os.fdopen(reader, "rb") as output:
        found = output.read()
    return child.wait(60), found


def test_a_child_has_only_what_it_was_given(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    with (tmp_path / "secret").open("w") as secret, (tmp_path / "given").open("w") as given:
        os.set_inheritable(secret.fileno(), True)
        reader, writer = os.pipe()
        child = fork_module(MODULE, "report", writer, [given.fileno()])
        os.close(writer)
        with os.fdopen(reader, "rb") as output:
            found = json.loads(output.read())
    assert child.wait(60) == 0
    pipe, file = sorted(found["files"])[::-1]
    assert (file, pipe[:5]) == (str(tmp_path / "given"), "pipe:")
    assert found["input"] == os.devnull
    assert found["handled"] == [False, False, False]
    assert found["blocked"] == 0
    assert found["notify"] is None
    assert found["path"] == sys.path[1:]


def test_the_parent_keeps_its_signals_and_handlers():
    before = [signal.getsignal(one) for one in signal.valid_signals()]
    assert run("end_later")[0] == 0
    assert [signal.getsignal(one) for one in signal.valid_signals()] == before
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_child_ends_after_its_threads_and_exit_functions():
    assert run("end_later") == (0, b"thread exit")


@pytest.mark.parametrize(("status", "expected"), [(None, 0), (0, 0), (3, 3), ("no number", 1)])
def test_sys_exit_gives_the_exit_status(status, expected):
    assert run({"status": status})[0] == expected


def test_an_exception_is_printed_and_ends_only_the_child():
    code = (
        "from gatepost.process.fork import fork_module;"
        f" print(fork_module({MODULE!r}, 'fail', 2, ()).wait())"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "1\n"
    assert done.stderr.endswith("ValueError: broken\n")


def test_a_killed_child_has_the_number_of_the_signal():
    child = fork_module(MODULE, "block", 2, ())
    assert child.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.0)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    child.terminate()
    assert child.poll() == -signal.SIGKILL


def test_a_process_with_threads_does_not_fork():
    code = (
        "import threading; from gatepost.process.fork import can_fork; print(can_fork());"
        " threading.Thread(target=threading.Event().wait, daemon=True).start(); print(can_fork())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
    assert callable(can_fork)
