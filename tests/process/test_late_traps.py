"""A very big trap list at the start of a server: mail is received before its index is built."""

import contextlib
import fcntl
import os

from tests.process.supervised import Supervised, connect, eventually

from gatepost.lists.file import LATE_ABOVE
from gatepost.lists.indexing.builder import index_path
from gatepost.metrics.report import read_report

TRAP = "trap@example.com"
LINE = b"someone-else@example.com\n"


@contextlib.contextmanager
def index_is_not_built(folder):
    """Hold the lock that a process takes to build the index."""
    cache = folder / "var/cache"
    cache.mkdir(parents=True, mode=0o700)
    lock = index_path(folder / "traps", cache).with_suffix(".lock")
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def answer_to_trap(port):
    with connect(port) as client:
        client.ehlo()
        client.mail("me@client.example")
        client.rcpt(TRAP)
        return client.docmd("DATA")[0]


def warnings(folder):
    report = read_report(folder / "var/ledger/status.json")
    return [] if report is None else list(report.warnings)


def test_a_very_big_trap_list_is_in_force_when_its_index_is_built(tmp_path):
    count = LATE_ABOVE // len(LINE) + 1
    (tmp_path / "traps").write_bytes(LINE * count + TRAP.encode() + b"\n")
    settings = '[traps]\nlists = ["traps"]\ndelay = "0s"\n'
    with Supervised(tmp_path, server="workers = 2", extra=settings) as server:
        with index_is_not_built(tmp_path):
            port = server.ready()
            assert answer_to_trap(port) == 354
            late = f"{tmp_path}/traps: the index is being built; the list is not in force yet"
            eventually(lambda: warnings(tmp_path) == [late])
            missing = server.await_events("trap list not in force", 2)
            assert [(one["level"], one["entries"]) for one in missing] == [("warning", 0)] * 2
        found = server.await_events("trap list in force", 2)
        assert [(one["level"], one["entries"]) for one in found] == [("warning", count + 1)] * 2
        assert all(one["seconds"] >= 0 for one in found)
        assert answer_to_trap(port) == 554
        assert server.reload()
        assert answer_to_trap(port) == 554
        assert len(server.events("trap list not in force")) == 2


def test_a_reload_waits_for_the_index_of_a_new_trap_list(tmp_path):
    (tmp_path / "old").write_text(f"{TRAP}\n")
    extra = '[traps]\nlists = ["{}"]\ndelay = "0s"\n'
    with Supervised(tmp_path, extra=extra.format("old")) as server:
        port = server.ready()
        (tmp_path / "traps").write_bytes(LINE * (LATE_ABOVE // len(LINE) + 1) + b"trap@example.com")
        server.reload(extra=extra.format("traps"))
        assert answer_to_trap(port) == 554
        assert not server.events("trap list not in force")
