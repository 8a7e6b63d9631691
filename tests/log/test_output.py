"""The log file: rotation, and what happens when it cannot be written."""

import errno
import os
import stat
from pathlib import Path

import pytest

from gatepost.log import output
from gatepost.log.output import MODE, STANDARD_ERROR, LogFileError, Output, probe

UNUSABLE = [
    (lambda folder: folder / "missing" / "log", "No such file or directory"),
    (lambda folder: folder, "Is a directory"),
]


class Clock:
    """A clock that a test sets."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def shown(monkeypatch):
    """The lines that are written to standard error."""
    written, write = [], os.write

    def to_list(descriptor, data):
        if descriptor != STANDARD_ERROR:
            return write(descriptor, data)
        written.append(data.decode())
        return len(data)

    monkeypatch.setattr(output.os, "write", to_list)
    return written


@pytest.fixture
def log(path, clock, shown):
    made = Output(clock)
    made.use(path)
    yield made
    if made._file >= 0:
        os.close(made._file)


def test_lines_go_to_standard_error_by_default(shown):
    Output().write(b"a\n")
    assert shown == ["a\n"]


def test_lines_are_appended_to_the_file(path, clock, shown):
    path.write_text("old\n")
    made = Output(clock)
    made.use(path)
    made.write(b"new\n")
    assert path.read_text() == "old\nnew\n"
    assert shown == []


@pytest.mark.parametrize("umask", [0o077, 0o022, 0o000])
def test_a_new_file_can_be_read_by_its_group(path, umask):
    before = os.umask(umask)
    try:
        probe(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == MODE == 0o640


def test_the_mode_of_an_existing_file_stays(path, log):
    path.chmod(0o600)
    log.reopen()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_rotated_file_is_opened_again_within_a_second(path, log, clock):
    log.write(b"1\n")
    old = path.rename(path.with_suffix(".1"))
    log.write(b"2\n")
    assert old.read_text() == "1\n2\n"
    assert not path.exists()
    clock.now += 1.0
    log.write(b"3\n")
    assert (old.read_text(), path.read_text()) == ("1\n2\n", "3\n")


def test_a_file_that_logrotate_has_created_is_used(path, log, clock):
    path.rename(path.with_suffix(".1"))
    path.touch(0o600)
    clock.now += 1.0
    log.write(b"1\n")
    assert path.read_text() == "1\n"


def test_a_file_that_was_truncated_is_continued(path, log, clock):
    log.write(b"1\n")
    os.truncate(path, 0)
    clock.now += 1.0
    log.write(b"2\n")
    assert path.read_text() == "2\n"


def test_a_file_is_opened_again_at_once_on_request(path, log):
    path.rename(path.with_suffix(".1"))
    log.reopen()
    log.write(b"1\n")
    assert path.read_text() == "1\n"


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_many_rotations_use_one_descriptor(path, log):
    before = descriptors()
    for number in range(20):
        path.rename(path.with_suffix(f".{number}"))
        log.reopen()
    assert descriptors() == before


def test_the_file_is_not_inherited_by_programs(path, log):
    log.reopen()
    assert not os.get_inheritable(log._file)


def test_without_a_file_nothing_is_opened_again(shown):
    made = Output()
    made.reopen()
    probe(None)
    made.write(b"1\n")
    assert shown == ["1\n"]


@pytest.mark.parametrize(("place", "reason"), UNUSABLE)
def test_a_file_that_cannot_be_opened_is_an_error(tmp_path, place, reason):
    path = place(tmp_path)
    with pytest.raises(LogFileError) as caught:
        probe(path)
    expected = "expected a file that can be appended to"
    assert str(caught.value) == f"log.file: {path}: {reason}, {expected}"


def test_a_pipe_that_nothing_reads_is_an_error(path):
    os.mkfifo(path)
    with pytest.raises(LogFileError, match="No such device or address"):
        probe(path)


def test_a_folder_that_is_gone_sends_lines_to_standard_error(tmp_path, clock, shown):
    folder = tmp_path / "logs"
    folder.mkdir()
    made = Output(clock)
    made.use(folder / "log")
    (folder / "log").unlink()
    folder.rmdir()
    for number in range(3):
        clock.now += 1.0
        made.write(b"%d\n" % number)
    reason, *lines = shown
    assert lines == ["0\n", "1\n", "2\n"]
    assert reason.startswith(f"gatepost: log.file: {folder}/log: No such file or directory")
    folder.mkdir()
    clock.now += 1.0
    made.write(b"3\n")
    assert (folder / "log").read_text() == "3\n"
    assert len(shown) == 4


def test_a_full_disk_sends_lines_to_standard_error(path, log, shown, monkeypatch):
    write, full = output.os.write, [True]

    def to_full_disk(descriptor, data):
        if descriptor != STANDARD_ERROR and full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(output.os, "write", to_full_disk)
    log.write(b"1\n")
    log.write(b"2\n")
    assert "No space left on device" in shown[0]
    assert shown[1:] == ["1\n", "2\n"]
    full.clear()
    log.write(b"3\n")
    assert (path.read_text(), len(shown)) == ("3\n", 3)
    full.append(True)
    log.write(b"4\n")
    assert "No space left on device" in shown[3]


def test_a_line_after_a_torn_one_has_its_own_line(path, log, shown, monkeypatch):
    write = output.os.write
    room = [3]

    def short(descriptor, data):
        if descriptor != STANDARD_ERROR and room:
            return write(descriptor, data[: room.pop()])
        return write(descriptor, data)

    monkeypatch.setattr(output.os, "write", short)
    log.write(b"first\n")
    log.write(b"second\n")
    assert path.read_text() == "fir\nsecond\n"
    assert "No room for a whole line" in shown[0]
    assert shown[1:] == ["first\n"]


def test_a_write_error_of_standard_error_is_ignored(monkeypatch):
    def closed(*_args):
        raise BrokenPipeError

    monkeypatch.setattr(output.os, "write", closed)
    assert Output().write(b"line\n") is None


def test_the_file_can_be_changed(path, log, tmp_path, shown):
    log.write(b"1\n")
    log.use(tmp_path / "other")
    log.write(b"2\n")
    log.use(None)
    log.write(b"3\n")
    assert path.read_text() == "1\n"
    assert (tmp_path / "other").read_text() == "2\n"
    assert shown == ["3\n"]
