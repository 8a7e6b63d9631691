"""`log.file`: all processes write to it, and follow its rotation."""

import json
import os
import shutil

from tests.process.supervised import Supervised, connect, eventually, send

EXTRA = '[log]\nfile = "logs/gatepost.log"\n'


class Logged(Supervised):
    """A server with a log file in a folder of its own."""

    def __init__(self, folder, **settings):
        self.path = folder / "logs" / "gatepost.log"
        self.path.parent.mkdir(exist_ok=True)
        super().__init__(folder, **{"server": "workers = 1", "extra": EXTRA} | settings)

    def lines(self, path=None):
        """Return the events of the log file; an error of JSON is a torn line."""
        text = (path or self.path).read_text() if (path or self.path).exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line[-1] == "\n"]

    def names(self, path=None):
        return [one["event"] for one in self.lines(path)]


def deliver(port):
    with connect(port) as client:
        send(client, "x")


def test_the_file_has_the_lines_of_all_processes(tmp_path):
    with Logged(tmp_path) as server:
        deliver(server.ready())
        eventually(lambda: "accepted" in server.names())
        assert server.stop() == 0
    loggers = {one["logger"] for one in server.lines()}
    assert {"gatepost.session", "gatepost.supervisor"} <= loggers
    assert server.log().splitlines() == [
        line for line in server.log().splitlines() if line.startswith("gatepost: ready")
    ]
    assert server.path.stat().st_mode & 0o777 == 0o640


def test_a_renamed_file_is_followed_without_a_signal(tmp_path):
    with Logged(tmp_path) as server:
        port = server.ready()
        deliver(port)
        eventually(lambda: "accepted" in server.names())
        old = server.path.rename(tmp_path / "old")

        def is_followed():
            deliver(port)
            return "accepted" in server.names()

        eventually(is_followed)
        count = len(server.messages())
        eventually(lambda: [*server.names(old), *server.names()].count("accepted") == count)


def test_a_hangup_opens_the_file_again(tmp_path):
    with Logged(tmp_path) as server:
        server.ready()
        eventually(lambda: "started" in server.names())
        server.path.rename(tmp_path / "old")
        server.send_hangup()
        eventually(lambda: "reloaded" in server.names())
    assert "reloaded" not in server.names(tmp_path / "old")


def test_a_file_that_cannot_be_opened_ends_the_start(tmp_path):
    with Logged(tmp_path) as server:
        server.path.mkdir()
    with Logged(tmp_path) as server:
        assert server.popen.wait(60) == 1
    expected = f"{server.path}: Is a directory, expected a file that can be appended to"
    assert server.log().splitlines()[-1] == f"gatepost: log.file: {expected}"


def test_a_reload_with_a_file_that_cannot_be_opened_fails(tmp_path):
    with Logged(tmp_path) as server:
        port = server.ready()
        server.configure(extra='[log]\nfile = "missing/log"\n')
        server.send_hangup()
        eventually(lambda: "reload failed" in server.names())
        deliver(port)
    problem = server.lines()[server.names().index("reload failed")]["problem"]
    assert f"{tmp_path}/missing/log: No such file or directory" in problem


def test_a_reload_changes_the_file(tmp_path):
    with Logged(tmp_path) as server:
        server.ready()
        server.configure(extra='[log]\nfile = "other.log"\n')
        server.send_hangup()
        eventually(lambda: "reloaded" in server.names(tmp_path / "other.log"))


def test_mail_goes_on_without_the_folder_of_the_file(tmp_path):
    """A worker that is replaced meanwhile starts too."""
    with Logged(tmp_path) as server:
        port = server.ready()
        [worker] = server.workers()
        shutil.rmtree(server.path.parent)
        os.kill(worker, 9)
        eventually(lambda: server.workers() - {worker})
        deliver(port)
        eventually(lambda: server.events("accepted"))
        assert f"log.file: {server.path}: No such file or directory" in server.log()
