"""The state of the server in its data folder."""

import os
import time

import pytest
from structlog.testing import capture_logs
from tests.process.supervised import Supervised, eventually

from gatepost.metrics.counting import Counting
from gatepost.process import state
from gatepost.process.generations import Generations
from gatepost.process.health import current_health
from gatepost.process.state import FILE, LOCK, StateFile, is_running, read_state


@pytest.fixture
def file():
    made = StateFile()
    yield made
    made.close()


def test_the_state_is_written_when_it_has_changed(tmp_path, file):
    file.open(tmp_path)
    file.update(Generations())
    first = (tmp_path / FILE).stat()
    assert read_state(tmp_path).pid == os.getpid()
    file.update(Generations())
    assert (tmp_path / FILE).stat().st_ino == first.st_ino
    file.reloaded(["one", "two"])
    file.update(Generations())
    assert list(read_state(tmp_path).reload.problems) == ["one", "two"]
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_server_that_has_ended_is_recognised(tmp_path, file):
    assert not is_running(tmp_path)
    file.open(tmp_path)
    file.update(Generations())
    assert is_running(tmp_path)
    file.close()
    assert not is_running(tmp_path)
    assert read_state(tmp_path) is not None


def test_a_second_server_in_the_folder_does_not_write(tmp_path, file):
    file.open(tmp_path)
    second = StateFile()
    with capture_logs() as logged:
        second.open(tmp_path)
        for _ in range(3):
            second.update(Generations())
    assert [one["event"] for one in logged] == ["state not written"]
    assert not (tmp_path / FILE).exists()
    file.close()
    second.update(Generations())
    assert is_running(tmp_path)
    second.close()


def test_the_lock_is_tried_again_after_a_command_that_looked(tmp_path, file):
    descriptor = os.open(tmp_path / LOCK, os.O_RDWR | os.O_CREAT)
    state.fcntl.flock(descriptor, state.fcntl.LOCK_SH)
    file.open(tmp_path)
    os.close(descriptor)
    file.update(Generations())
    assert read_state(tmp_path) is not None


def test_a_folder_that_cannot_be_written_is_logged_once(tmp_path, file):
    (tmp_path / "file").touch()
    with capture_logs() as logged:
        file.open(tmp_path / "file")
        file.update(Generations())
    assert [one["event"] for one in logged] == ["state not written"]


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path, file):
    (tmp_path / LOCK).symlink_to(tmp_path / "target")
    with capture_logs():
        file.open(tmp_path)
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("content", ["", "{", '{"pid": "x"}', "\xff"])
def test_a_damaged_state_is_none(tmp_path, content):
    (tmp_path / FILE).write_text(content, "latin-1")
    assert read_state(tmp_path) is None


def test_the_health_without_a_server(tmp_path):
    health = current_health(tmp_path, Counting())
    assert (health.live, health.ready) == (False, False)


def test_the_state_of_a_real_server(tmp_path):
    began = time.time()
    folder = tmp_path / "var"
    with Supervised(tmp_path) as server:
        server.ready()
        found = eventually(lambda: (one := read_state(folder)) and len(one.workers) == 2 and one)
        assert found.pid == server.popen.pid
        assert began <= found.since <= time.time()
        eventually(lambda: {one.pid for one in read_state(folder).workers} == server.workers())
        assert all(one.configured >= began and not one.retiring for one in found.workers)
        assert current_health(folder, Counting()).ready
        server.reload()
        eventually(lambda: read_state(folder).reload is not None)
        assert current_health(folder, Counting()).reload == "ok"
        server.configure(extra="nonsense")
        server.send_hangup()
        server.await_events("reload failed")
        eventually(lambda: read_state(folder).reload.problems)
        assert "invalid TOML" in current_health(folder, Counting()).reload
        assert server.stop() == 0
    assert not is_running(folder)
    assert read_state(folder).stopping
