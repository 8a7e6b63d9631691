"""A periodic job for one worker, in a server with two workers that are real processes."""

import os
import signal

from tests.process.supervised import USES_PLUGIN, Supervised, eventually, parent

# Writes a line for each call: the second, which is at or after that of the period, and the worker.
PLUGIN = """
import os
import time

from gatepost import Plugin


class Mine(Plugin):
    def start(self):
        self.note("start")
        self.every("1s", self.tick, one_worker=True)
        self.every("1s", self.tock)

    def tick(self):
        self.note("one")

    def tock(self):
        self.note("each")

    def note(self, kind):
        with open(self.path("calls"), "a") as file:
            file.write(f"{kind} {int(time.time())} {os.getpid()}\\n")
"""


def calls(server, kind):
    """Return the calls so far as pairs of the second and the worker."""
    path = server.folder / "calls"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    found = [line.split() for line in lines if line.endswith("\n")]
    return [(int(second), int(worker)) for one, second, worker in found if one == kind]


def test_exactly_one_worker_calls_it_and_another_takes_over_when_it_is_killed(tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    with Supervised(tmp_path, extra=USES_PLUGIN) as server:
        server.ready()
        workers = server.workers()
        assert len(workers) == 2
        eventually(lambda: {worker for _, worker in calls(server, "each")} == workers)
        killed = eventually(lambda: calls(server, "one"))[-1][1]
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: parent(killed) is None)
        before = len(calls(server, "one"))
        others = eventually(lambda: calls(server, "one")[before + 2 :])
        assert killed not in {worker for _, worker in others}
        assert server.stop() == 0
    (first, _), *_ = calls(server, "start")
    seconds = [second for second, _ in calls(server, "one")]
    assert len(seconds) <= max(seconds) - first  # the periods that have begun since the start
