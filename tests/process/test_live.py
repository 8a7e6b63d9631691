"""The sessions of a server with a supervisor and workers, as real processes."""

import os
import signal

from tests.process.supervised import PATIENCE, Supervised, connect, eventually, in_transaction

from gatepost.process.live import NotRunningError, end_sessions, live_sessions, live_status
from gatepost.process.state import is_running, read_state
from gatepost.server.control_socket import FOLDER, SessionsRequest

EVERY = SessionsRequest()
SLOW = """\
import asyncio

from gatepost import Plugin


class Slow(Plugin):
    async def on_rcpt(self, tx, rcpt):
        if rcpt.address.local == "slow":
            await asyncio.sleep(3600)
"""


def test_sessions_of_all_workers_are_shown_and_ended(tmp_path):
    data = tmp_path / "var"
    with Supervised(tmp_path) as server:
        port = server.ready()
        clients = []
        while len({one.ref.partition("-")[0] for one in live_sessions(data, EVERY).sessions}) < 2:
            clients.append(in_transaction(port))  # the kernel chooses the worker
        found = live_sessions(data, EVERY, PATIENCE)
        assert found.matched == len(clients)
        assert {one.pid for one in found.workers} == server.workers()
        assert [one.worker for one in found.workers] == [0, 1]
        assert {(one.sender, one.recipients, one.step) for one in found.sessions} == {
            ("me@client.example", 1, "rcpt")
        }
        ended = end_sessions(data, [one.transaction for one in found.sessions], "test", PATIENCE)
        assert set(ended.results.values()) == {"ended"}
        for client in clients:
            assert client.getreply()[0] == 421
            client.close()
        assert len(server.await_events("session ended", len(clients))) == len(clients)
        eventually(lambda: not live_sessions(data, EVERY).matched)
        assert server.stop() == 0
    assert list((data / FOLDER).iterdir()) == []


def test_a_session_that_a_plugin_holds_up_is_found_and_ended(tmp_path):
    (tmp_path / "mine.py").write_text(SLOW)
    data = tmp_path / "var"
    extra = '\n[[plugin]]\nuse = "mine.py"\ntimeout = "5m"\n'
    with Supervised(tmp_path, server="workers = 1", extra=extra) as server:
        client = connect(server.ready())
        client.ehlo()
        client.mail("me@client.example")
        client.putcmd("rcpt", "TO:<slow@example.com>")
        request = SessionsRequest(plugin="mine")
        (one,) = eventually(lambda: live_sessions(data, request).sessions)
        assert (one.step, one.busy) == ("rcpt", True)
        assert end_sessions(data, [one.ref]).results == {one.ref: "ended"}
        assert client.getreply()[0] == 421
        client.close()


def test_a_worker_that_hangs_is_named_and_the_others_answer(tmp_path):
    data = tmp_path / "var"
    with Supervised(tmp_path) as server:
        server.ready()
        eventually(lambda: len(live_status(data).workers) == 2)
        hung, well = sorted(server.workers())
        os.kill(hung, signal.SIGSTOP)
        found = live_status(data, 5.0)  # time for the other one on a busy machine
        assert list(found.silent) == [hung]
        assert [one.pid for one in found.workers] == [well]
        os.kill(hung, signal.SIGCONT)
        eventually(lambda: len(live_status(data).workers) == 2)


def test_the_socket_of_a_killed_worker_is_ignored_and_removed(tmp_path):
    data = tmp_path / "var"
    with Supervised(tmp_path) as server:
        server.ready()
        eventually(lambda: len(live_status(data).workers) == 2)
        victim = min(server.workers())
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: victim not in server.workers())
        assert victim not in {one.pid for one in live_status(data).workers}
        eventually(lambda: len(live_status(data).workers) == 2)
        assert not list((data / FOLDER).glob(f"{victim}-*"))


def test_sessions_of_workers_that_retire_are_shown(tmp_path):
    data = tmp_path / "var"
    with Supervised(tmp_path, server="workers = 1") as server:
        client = in_transaction(server.ready())
        server.reload()
        found = eventually(
            lambda: len((one := live_sessions(data, EVERY)).workers) == 2 and one  # old and new
        )
        assert found.matched == 1
        eventually(lambda: read_state(data).reload is not None)
        client.close()


def test_a_server_that_has_ended_is_not_running(tmp_path):
    with Supervised(tmp_path) as server:
        server.ready()
        os.killpg(server.popen.pid, signal.SIGKILL)
        eventually(lambda: not is_running(tmp_path / "var"))
        eventually(lambda: _is_gone(tmp_path / "var"))


def _is_gone(data):
    try:
        live_status(data)
    except NotRunningError:
        return True
    return False
