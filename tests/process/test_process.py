"""One worker process and its heartbeat; time is what the test says."""

import signal

import pytest
from tests.process.supervised import eventually
from tests.server.loopback import config

from gatepost.counts.memory import CounterMemory
from gatepost.net.sockets import bind
from gatepost.process.control import ControlMessage
from gatepost.process.worker import ABORT_GRACE, WorkerProcess

LIMIT = 10.0


@pytest.fixture
def process(tmp_path):
    made = config(tmp_path)
    board = CounterMemory()
    with bind(made.listen[0].address, tmp_path) as sock:
        started = WorkerProcess(made, [[sock]], board)
    yield started
    started.kill()
    eventually(started.ended)
    board.close()


def heard(process, condition):
    """Hear the worker until that is true."""

    def listen():
        process.hear()
        return condition()

    eventually(listen)


def ready(process):
    heard(process, lambda: process.ready)


def test_one_that_is_not_ready_is_not_asked(process):
    assert [process.watch(now) for now in (0.0, 1000.0, 2000.0)] == [False] * 3


def test_one_that_answers_lives(process):
    ready(process)
    for now in (1000.0, 2000.0, 3000.0):
        assert not process.watch(now)
        heard(process, lambda: process._asked is None)


def test_one_that_is_silent_is_given_up_and_killed(process):
    ready(process)
    process._popen.send_signal(signal.SIGSTOP)
    assert not process.watch(1000.0)
    assert not process.watch(1000.0 + LIMIT)
    assert process.watch(1000.1 + LIMIT)
    assert not process.watch(1000.2 + LIMIT)
    assert not process.watch(1000.2 + LIMIT + ABORT_GRACE)
    eventually(process.ended)
    assert process.end == "signal SIGKILL"


def test_who_was_away_gives_another_chance(process):
    ready(process)
    process.excuse(0.0)
    process.watch(1000.0)
    process.excuse(2000.0)
    assert not process.watch(2000.0 + LIMIT)
    assert process.watch(2000.1 + LIMIT)


@pytest.mark.parametrize("word", [ControlMessage.STOP, ControlMessage.RETIRE])
def test_it_ends_as_told(process, word):
    ready(process)
    process.say(word)
    eventually(process.ended)
    assert process.end == "exit status 0"


def test_it_ends_when_nobody_is_there_to_tell(process):
    process.channel.close()
    eventually(lambda: process._popen.poll() is not None)
    assert process.end == "exit status 0"
