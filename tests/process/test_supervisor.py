"""Workers under a supervisor: they share the work, are replaced, are told to stop."""

import contextlib
import os
import re
import signal
import smtplib
import socket
import sys
import threading

import pytest
from tests.process.supervised import (
    Supervised,
    connect,
    eventually,
    parent,
    refuses_connections,
    send,
    subjects,
)

BROKEN = "raise RuntimeError('broken')\n"
PLUGIN = "from gatepost import Plugin\n\n\nclass Mine(Plugin):\n    pass\n"
USES_PLUGIN = '\n[[plugin]]\nuse = "mine.py"\n'


def test_all_workers_take_mail(tmp_path):
    with Supervised(tmp_path) as server:
        port = server.ready()
        assert len(server.workers()) == 2
        workers = set()
        while len(workers) < 2:  # which one gets a connection is chance
            with connect(port) as client:
                send(client, "x")
            names = re.findall(rb" id ([0-9a-f]+)-", b"".join(server.mails()))
            workers = set(names)
        assert server.stop() == 0
    assert len(re.findall("gatepost: ready", server.said())) == 1
    assert not server.workers()


def test_one_worker_for_each_core(tmp_path):
    with Supervised(tmp_path, server="workers = 0") as server:
        server.ready()
        assert len(server.workers()) == len(os.sched_getaffinity(0))


class Sender(threading.Thread):
    """Sends numbered messages on a connection each until told to stop."""

    def __init__(self, port, name):
        super().__init__()
        self.port, self.sender, self.enough = port, name, threading.Event()
        self.taken, self.errors = [], []

    def run(self):
        number = 0
        while not self.enough.is_set():
            number += 1
            name = f"{self.sender}-{number}"
            try:
                with connect(self.port) as client:
                    send(client, name)
                    self.taken.append(name)
            except (OSError, smtplib.SMTPException) as error:
                self.errors.append(error)


@contextlib.contextmanager
def sending(port, count=3):
    """Have clients send while the block runs."""
    senders = [Sender(port, name) for name in "abcdef"[:count]]
    for one in senders:
        one.start()
    try:
        yield senders
    finally:
        for one in senders:
            one.enough.set()
        for one in senders:
            one.join()


def test_a_killed_worker_is_replaced_and_nothing_that_was_taken_is_lost(tmp_path):
    with Supervised(tmp_path) as server:
        with sending(server.ready()) as senders:
            eventually(lambda: all(one.taken for one in senders))
            before = server.workers()
            victim = min(before)
            os.kill(victim, signal.SIGKILL)
            (event,) = server.await_events("worker ended")
            after = eventually(lambda: len(server.workers()) == 2 and server.workers())
            counts = [len(one.taken) for one in senders]
            eventually(
                lambda: all(len(one.taken) > n for one, n in zip(senders, counts, strict=True))
            )
        assert server.stop() == 0
    assert (event["pid"], event["end"], event["next"]) == (victim, "signal SIGKILL", 1.0)
    assert before - after == {victim}
    delivered = subjects(server)
    for one in senders:
        assert len(one.taken) == len(set(one.taken))
        assert set(one.taken) <= set(delivered)
        assert not [error for error in one.errors if isinstance(error, ConnectionRefusedError)]


def test_a_connection_waits_for_the_replacement_of_the_only_worker(tmp_path):
    with Supervised(tmp_path, server="workers = 1") as server:
        port = server.ready()
        (victim,) = server.workers()
        os.kill(victim, signal.SIGKILL)
        with connect(port) as client:
            send(client, "x")
        assert server.workers() != {victim}
    assert subjects(server) == ["x"]


def test_a_worker_that_hangs_is_replaced(tmp_path):
    with Supervised(tmp_path, server='workers = 1\nworker_timeout = "1s"') as server:
        port = server.ready()
        (victim,) = server.workers()
        os.kill(victim, signal.SIGSTOP)
        assert server.await_events("worker hangs")[0]["pid"] == victim
        assert server.await_events("worker ended")[0]["end"] == "signal SIGKILL"
        with connect(port) as client:
            send(client, "x")


def test_a_worker_that_a_plugin_blocks_says_where(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import time\nfrom gatepost import Plugin\n\n\n"
        "class Mine(Plugin):\n    def on_rcpt(self, tx, rcpt):\n        time.sleep(3600)\n"
    )
    settings = 'workers = 1\nworker_timeout = "1s"'
    with Supervised(tmp_path, server=settings, extra=USES_PLUGIN) as server:
        client = connect(server.ready())
        with pytest.raises(smtplib.SMTPServerDisconnected):
            send(client, "x")
        assert server.await_events("worker ended")[0]["end"] == "signal SIGABRT"
    assert re.search(r'mine\.py", line 7 in on_rcpt', server.said())


def test_a_worker_that_cannot_come_back_is_tried_again(tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    with Supervised(tmp_path, server="workers = 1", extra=USES_PLUGIN) as server:
        port = server.ready()
        (tmp_path / "mine.py").write_text(BROKEN)
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        first, second = server.await_events("worker ended", 2)[:2]
        (tmp_path / "mine.py").write_text(PLUGIN)
        with connect(port) as client:
            send(client, "x")
    assert (first["end"], first["next"]) == ("signal SIGKILL", 1.0)
    assert (second["end"], second["next"]) == ("exit status 1", 2.0)
    assert second["problem"].endswith("RuntimeError: broken")


def test_what_is_wrong_at_the_start_is_said_once(tmp_path):
    (tmp_path / "mine.py").write_text(BROKEN)
    with Supervised(tmp_path, extra=USES_PLUGIN) as server:
        assert server.popen.wait() == 1
    path = f"{tmp_path}/mine.py"
    assert server.said() == (
        f"gatepost: plugin {path}: import failed: {path}:1: RuntimeError: broken\n"
    )


def test_a_worker_that_dies_before_it_is_ready(tmp_path):
    (tmp_path / "mine.py").write_text("import os\nos._exit(7)\n")
    with Supervised(tmp_path, extra=USES_PLUGIN) as server:
        assert server.popen.wait() == 1
    assert server.said() == "gatepost: a worker ended before it was ready: exit status 7\n"


def test_a_second_server_does_not_share_the_port(tmp_path):
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    with Supervised(tmp_path / "first") as first:
        address = f"127.0.0.1:{first.ready()}"
        with Supervised(tmp_path / "second", address=address) as second:
            assert second.popen.wait() == 1
    assert second.said() == f"gatepost: cannot listen on {address}: Address already in use\n"


def test_an_unknown_user(tmp_path):
    with Supervised(tmp_path, server='user = "nobody-of-that-name"') as server:
        assert server.popen.wait() == 1
    assert server.said() == (
        'gatepost: server.user: expected a user of this system, found "nobody-of-that-name"\n'
    )


def in_transaction(port):
    client = connect(port)
    client.ehlo()
    client.mail("me@client.example")
    client.rcpt("one@example.com")
    return client


def test_a_stop_lets_a_message_come_to_its_end(tmp_path):
    with Supervised(tmp_path) as server:
        port = server.ready()
        client = in_transaction(port)
        server.popen.send_signal(signal.SIGTERM)
        eventually(lambda: refuses_connections(port))
        assert client.data("Subject: x\r\n\r\n")[0] == 250
        assert client.getreply()[0] == 421
        client.close()
        assert server.popen.wait() == 0
    assert subjects(server) == ["x"]


def test_a_stop_does_not_wait_for_ever(tmp_path):
    with Supervised(tmp_path, server='workers = 2\nstop_timeout = "100ms"') as server:
        client = in_transaction(server.ready())
        assert server.stop() == 0
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.data("Subject: x\r\n\r\n")
    assert server.mails() == []


def test_a_second_signal_ends_workers_and_supervisor_at_once(tmp_path):
    with Supervised(tmp_path) as server:
        client = in_transaction(server.ready())
        workers = server.workers()
        server.popen.send_signal(signal.SIGTERM)
        server.await_events("stopping")
        assert server.stop() == -signal.SIGTERM
        client.close()
        eventually(lambda: not any(map(parent, workers)))


def test_workers_do_not_outlive_the_supervisor(tmp_path):
    with Supervised(tmp_path) as server:
        server.ready()
        workers = server.workers()
        server.popen.kill()
        eventually(lambda: not any(map(parent, workers)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_a_terminal_sends_to_the_group_is_for_the_supervisor(tmp_path, number):
    with Supervised(tmp_path) as server:
        port = server.ready()
        workers = server.workers()
        for worker in workers:
            os.kill(worker, number)
        with connect(port) as client:
            send(client, "x")
        assert server.workers() == workers
        assert server.stop() == 0


def test_the_service_manager_is_told(tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(60)

        def told():
            while (state := manager.recv(1000).decode()) == "WATCHDOG=1":
                pass
            return state

        environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "200000"}
        with Supervised(tmp_path, environment=environment) as server:
            assert told() == "READY=1"
            while manager.recv(1000) != b"WATCHDOG=1":
                pass
            server.hang_up()
            assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", told())
            assert told() == "READY=1"
            server.popen.send_signal(signal.SIGTERM)
            assert told() == "STOPPING=1"
            assert server.popen.wait() == 0


def test_workers_share_a_unix_socket(tmp_path):
    with Supervised(tmp_path, extra='\n[[listen]]\naddress = "unix:socket"\n') as server:
        server.ready()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "socket"))
            assert client.recv(100).startswith(b"220 ")


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_descriptor_that_is_open_already(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as given:
        port = given.getsockname()[1]
        code = (
            "import os, socket, sys\n"
            f"os.dup2({given.fileno()}, 3)\n"
            "sys.argv = ['gatepost', 'serve']\n"
            "from gatepost.cli import main\nmain()\n"
        )
        server = Supervised(tmp_path, address="fd:3")
        server.command = [sys.executable, "-c", code]
        server.descriptors = [given.fileno()]
        with server:
            assert server.ready() == port
            with connect(port) as client:
                send(client, "x")


def test_no_process_can_be_started(tmp_path):
    code = (
        "import sys\n"
        "sys.executable = '/nowhere/python'\n"
        "sys.argv = ['gatepost', 'serve']\n"
        "from gatepost.cli import main\nmain()\n"
    )
    server = Supervised(tmp_path)
    server.command = [sys.executable, "-c", code]
    with server:
        assert server.popen.wait() == 1
    assert server.said() == (
        "gatepost: a worker cannot be started: /nowhere/python: No such file or directory\n"
    )
