"""One worker process and its watchdog. The tests set the time."""

import os
import signal
import socket

import pytest
from tests.process.supervised import eventually
from tests.server.loopback import config

from gatepost.counts.memory import CounterMemory
from gatepost.net.sockets import bind
from gatepost.process.control import Channel, ControlThread, MessageKind
from gatepost.process.interpreter import start_module
from gatepost.process.pool import PoolError, WorkerPool
from gatepost.process.worker import ABORT_GRACE, WorkerProcess

LIMIT = 10.0


@pytest.fixture
def counters():
    memory = CounterMemory()
    yield memory
    memory.close()


@pytest.fixture
def process(tmp_path, counters):
    settings = config(tmp_path)
    with bind(settings.listen[0].address, tmp_path) as sock:
        started = WorkerProcess(settings, [[sock]], counters)
    yield started
    started.kill()
    eventually(started.has_exited)


def until_ready(process):
    def is_ready():
        process.receive()
        return process.ready

    eventually(is_ready)


class FakeWorker:
    """A worker that consists of its end of the control channel and a progress counter."""

    pid = 4711

    def __init__(self, channel):
        self.channel = Channel(socket.socket(fileno=os.dup(channel)))
        self.thread = ControlThread(self.channel, lambda: self.turns, lambda _kind: None)
        self.turns = 0
        self.signals = []
        self.returncode = None
        self.channel.send(MessageKind.READY)

    def poll(self):
        return self.returncode

    def send_signal(self, number):
        self.signals.append(number)
        self.returncode = -number

    def kill(self):
        self.send_signal(signal.SIGKILL)


@pytest.fixture
def fake(tmp_path, counters):
    """A `WorkerProcess` that is ready, and the fake worker behind it."""
    workers = []

    def start(_module, _arguments, channel, _inherited):
        workers.append(FakeWorker(channel))
        return workers[0]

    process = WorkerProcess(config(tmp_path), [], counters, start=start)
    process.receive()
    yield process, workers[0]
    workers[0].kill()
    assert process.has_exited()
    workers[0].channel.close()


@pytest.fixture
def starting(fake):
    """A worker that is not ready."""
    process, worker = fake
    process.ready = False
    return process, worker


def test_a_worker_that_does_not_become_ready_is_aborted(starting):
    process, worker = starting
    for now in (0.0, 299.0, 300.0):
        assert not process.check_progress(now)
        assert (process.failure, worker.signals) == ("", [])
    assert not process.check_progress(300.1)
    assert process.failure.startswith("a worker was not ready within 300 s (server.start_timeout)")
    process.check_progress(301.2)
    assert worker.signals == [signal.SIGABRT, signal.SIGKILL]
    assert process.killed


def test_a_worker_that_cannot_be_killed_fails_the_start(starting, counters, tmp_path):
    process, _worker = starting
    pool = WorkerPool(config(tmp_path), [], counters, start=start_module)
    pool._members[0].process = process
    pool.maintain(0.0)
    process.killed, process.failure = True, "not ready"
    with pytest.raises(PoolError, match="not ready"):
        pool.maintain(1.0)


def test_a_suspended_supervisor_grants_the_time_to_start_again(starting):
    process, worker = starting
    process.check_progress(0.0)
    process.restart_watchdog(1000.0)
    process.check_progress(1000.0)
    process.check_progress(1299.0)
    assert worker.signals == []


def test_a_busy_worker_is_not_aborted(fake):
    process, worker = fake
    for now in range(10 * int(LIMIT)):
        assert not process.check_progress(float(now))
        worker.turns += now % 5 == 0  # the event loop itself is never idle
        worker.thread.process_messages()
        process.receive()
    assert worker.signals == []


def test_a_worker_that_answers_without_progress_is_aborted(fake):
    process, worker = fake
    aborted = []
    for now in range(2 * int(LIMIT)):
        if process.check_progress(float(now)):
            aborted.append(now)
        worker.thread.process_messages()
        process.receive()
    assert aborted == [2 + int(LIMIT) + 1]  # the first answer was news
    assert worker.signals[0] == signal.SIGABRT


def test_a_worker_that_never_answers_is_aborted(fake):
    process, worker = fake
    assert not process.check_progress(0.0)
    assert not process.check_progress(LIMIT)
    assert process.check_progress(LIMIT + 0.1)
    assert worker.signals == [signal.SIGABRT]


def test_an_aborted_worker_that_does_not_exit_is_killed(fake):
    process, worker = fake
    process.check_progress(0.0)
    assert process.check_progress(LIMIT + 1)
    assert not process.check_progress(LIMIT + 1 + ABORT_GRACE)
    assert not process.check_progress(LIMIT + 1.1 + ABORT_GRACE)
    assert worker.signals == [signal.SIGABRT, signal.SIGKILL]


def test_a_suspended_supervisor_grants_the_whole_limit_again(fake):
    process, _ = fake
    process.check_progress(0.0)
    process.restart_watchdog(1000.0)
    assert not process.check_progress(1000.0 + LIMIT)
    assert process.check_progress(1000.1 + LIMIT)


def test_a_worker_that_is_not_ready_is_not_pinged(process):
    assert [process.check_progress(now) for now in (0.0, 1000.0, 2000.0)] == [False] * 3


def test_an_idle_worker_reports_progress(process):
    until_ready(process)
    reports = set()

    def has_progressed():
        process.send(MessageKind.PING)
        reports.update(message.detail for message in process.channel.receive())
        return len(reports) > 2

    eventually(has_progressed)


def test_a_stopped_process_is_killed(process):
    until_ready(process)
    process._child.send_signal(signal.SIGSTOP)
    assert not process.check_progress(1000.0)
    assert process.check_progress(1000.1 + LIMIT)
    assert not process.check_progress(1000.2 + LIMIT + ABORT_GRACE)
    eventually(process.has_exited)
    assert process.status == "signal SIGKILL"


@pytest.mark.parametrize("kind", [MessageKind.STOP, MessageKind.RETIRE])
def test_a_worker_exits_on_request(process, kind):
    until_ready(process)
    process.send(kind)
    eventually(process.has_exited)
    assert process.status == "exit status 0"


def test_a_worker_exits_when_the_supervisor_is_gone(process):
    process.channel.close()
    eventually(lambda: process._child.poll() is not None)
    assert process.status == "exit status 0"
