"""The supervisor: start, replacement, stop and notification, with real processes."""

import os
import re
import signal
import smtplib
import socket
import sys

import pytest
from tests.process.supervised import (
    PLUGIN,
    USES_PLUGIN,
    Supervised,
    connect,
    eventually,
    in_transaction,
    parent,
    refuses_connections,
    send,
    sending,
    subjects,
)

from gatepost._build import describe_build
from gatepost._version import __version__

BROKEN = "raise RuntimeError('broken')\n"


def test_all_workers_accept_mail(tmp_path):
    with Supervised(tmp_path) as server:
        port = server.ready()
        assert len(server.workers()) == 2
        workers = set()
        while len(workers) < 2:  # the kernel chooses the worker at random
            with connect(port) as client:
                send(client, "x")
            names = re.findall(rb" id ([0-9a-f]+)-", b"".join(server.messages()))
            workers = set(names)
        assert server.stop() == 0
    assert len(re.findall("gatepost: ready", server.log())) == 1
    assert not server.workers()


def test_version_and_build_are_logged_at_start_and_reload(tmp_path):
    with Supervised(tmp_path) as server:
        port = server.ready()
        (started,) = server.await_events("started")
        reloaded = server.reload()
    for event in (started, reloaded):
        assert (event["version"], event["build"]) == (__version__, describe_build())
        assert event["listen"] == [f"smtp=127.0.0.1:{port}"]
        assert "supervisor_version" not in event


def test_a_supervisor_that_was_not_upgraded_is_logged(tmp_path):
    code = (
        "import sys\n"
        "from gatepost.process import supervisor\n"
        "supervisor.__version__ = '0.0.1'\n"
        "sys.argv = ['gatepost', 'serve']\n"
        "from gatepost.cli import main\nmain()\n"
    )
    server = Supervised(tmp_path)
    server.command = [sys.executable, "-c", code]
    with server:
        server.ready()
        (event,) = server.await_events("started")
    assert (event["version"], event["supervisor_version"]) == (__version__, "0.0.1")


def test_workers_are_forks_until_other_code_is_installed(tmp_path):
    (tmp_path / "upgraded_module.py").write_text("VERSION = 1\n")
    code = (
        f"import sys\nsys.path.append({str(tmp_path)!r})\nimport upgraded_module\n"
        "sys.argv = ['gatepost', 'serve']\n"
        "from gatepost.cli import main\nmain()\n"
    )
    server = Supervised(tmp_path, server="workers = 1")
    server.command = [sys.executable, "-c", code]
    with server:
        server.ready()
        assert server.modules() == [""]
        server.reload(hostname="a.example.com")
        eventually(lambda: server.modules() == [""])
        (tmp_path / "upgraded_module.py").write_text("VERSION = 12\n")
        server.reload(hostname="b.example.com")
        eventually(lambda: server.modules() == ["gatepost.process.worker_main"])
        assert server.stop() == 0


def test_a_reload_uses_a_changed_plugin(tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    with Supervised(tmp_path, server="workers = 1", extra=USES_PLUGIN) as server:
        port = server.ready()
        refusing = "    def on_rcpt(self, tx, rcpt):\n        return deny('changed')\n"
        changed = PLUGIN.replace("    pass\n", refusing).replace("Plugin\n", "Plugin, deny\n", 1)
        (tmp_path / "mine.py").write_text(changed)
        server.reload()
        eventually(lambda: is_refused(port))  # the old worker may accept until it has retired


def is_refused(port):
    with connect(port) as client:
        try:
            send(client, "x")
        except smtplib.SMTPRecipientsRefused:
            return True
    return False


def test_workers_0_starts_one_for_each_core(tmp_path):
    with Supervised(tmp_path, server="workers = 0") as server:
        server.ready()
        assert len(server.workers()) == len(os.sched_getaffinity(0))


def test_a_killed_worker_is_replaced_without_losing_accepted_mail(tmp_path):
    with Supervised(tmp_path) as server:
        with sending(server.ready()) as senders:
            eventually(lambda: all(one.accepted for one in senders))
            before = server.workers()
            victim = min(before)
            os.kill(victim, signal.SIGKILL)
            (event,) = server.await_events("worker exited")
            after = eventually(lambda: len(server.workers()) == 2 and server.workers())
            counts = [len(one.accepted) for one in senders]
            eventually(
                lambda: all(len(one.accepted) > n for one, n in zip(senders, counts, strict=True))
            )
        assert server.stop() == 0
    assert (event["pid"], event["status"], event["restart_in"]) == (victim, "signal SIGKILL", 1.0)
    assert before - after == {victim}
    delivered = subjects(server)
    for one in senders:
        assert len(one.accepted) == len(set(one.accepted))
        assert set(one.accepted) <= set(delivered)
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
    with Supervised(tmp_path, server='workers = 1\nworker_timeout = "3s"') as server:
        port = server.ready()
        (victim,) = server.workers()
        os.kill(victim, signal.SIGSTOP)
        assert server.await_events("worker unresponsive")[0]["pid"] == victim
        assert server.await_events("worker exited")[0]["status"] == "signal SIGKILL"
        with connect(port) as client:
            send(client, "x")


def test_a_worker_that_a_plugin_blocks_is_replaced_and_prints_its_stack(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import time\nfrom gatepost import Plugin\n\n\n"
        "class Mine(Plugin):\n    def on_rcpt(self, tx, rcpt):\n        time.sleep(3600)\n"
    )
    settings = 'workers = 1\nworker_timeout = "5s"'
    with Supervised(tmp_path, server=settings, extra=USES_PLUGIN) as server:
        client = connect(server.ready())
        with pytest.raises(smtplib.SMTPServerDisconnected):
            send(client, "x")
        assert server.await_events("worker exited")[0]["status"] == "signal SIGABRT"
    assert re.search(r'mine\.py", line 7 in on_rcpt', server.log())


def test_a_failed_replacement_is_repeated(tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    with Supervised(tmp_path, server="workers = 1", extra=USES_PLUGIN) as server:
        port = server.ready()
        (tmp_path / "mine.py").write_text(BROKEN)
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        first, second = server.await_events("worker exited", 2)[:2]
        (tmp_path / "mine.py").write_text(PLUGIN)
        with connect(port) as client:
            send(client, "x")
    assert (first["status"], first["restart_in"]) == ("signal SIGKILL", 1.0)
    assert (second["status"], second["restart_in"]) == ("exit status 1", 2.0)
    assert second["problem"].endswith("RuntimeError: broken")


def test_a_failed_start_is_reported_once(tmp_path):
    (tmp_path / "mine.py").write_text(BROKEN)
    with Supervised(tmp_path, extra=USES_PLUGIN) as server:
        assert server.popen.wait() == 1
    path = f"{tmp_path}/mine.py"
    assert server.log() == (
        f"gatepost: plugin {path}: import failed: {path}:1: RuntimeError: broken\n"
    )


def test_a_worker_that_exits_before_it_is_ready_ends_the_start(tmp_path):
    (tmp_path / "mine.py").write_text("import os\nos._exit(7)\n")
    with Supervised(tmp_path, extra=USES_PLUGIN) as server:
        assert server.popen.wait() == 1
    assert server.log() == "gatepost: a worker exited before it was ready: exit status 7\n"


def test_a_second_server_does_not_share_the_port(tmp_path):
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    with Supervised(tmp_path / "first") as first:
        address = f"127.0.0.1:{first.ready()}"
        with Supervised(tmp_path / "second", address=address) as second:
            assert second.popen.wait() == 1
    assert second.log() == f"gatepost: cannot listen on {address}: Address already in use\n"


def test_an_unknown_user_is_reported(tmp_path):
    with Supervised(tmp_path, server='user = "no-such-user"') as server:
        assert server.popen.wait() == 1
    assert server.log() == (
        'gatepost: server.user: expected a user of this system, found "no-such-user"\n'
    )


def test_a_stop_waits_for_a_message_in_progress(tmp_path):
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


def test_a_stop_waits_for_stop_timeout_at_most(tmp_path):
    with Supervised(tmp_path, server='workers = 2\nstop_timeout = "100ms"') as server:
        client = in_transaction(server.ready())
        assert server.stop() == 0
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.data("Subject: x\r\n\r\n")
    assert server.messages() == []


def test_a_second_signal_ends_workers_and_supervisor_at_once(tmp_path):
    with Supervised(tmp_path) as server:
        client = in_transaction(server.ready())
        workers = server.workers()
        server.popen.send_signal(signal.SIGTERM)
        server.await_events("stopping")
        assert server.stop() == -signal.SIGTERM
        client.close()
        eventually(lambda: not any(map(parent, workers)))


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)]
)
def test_a_second_signal_ends_a_server_that_was_started_with_it_ignored(tmp_path, number, status):
    code = (
        "import signal, sys\n"
        f"signal.signal({int(number)}, signal.SIG_IGN)\n"
        "sys.argv = ['gatepost', 'serve']\n"
        "from gatepost.cli import main\nmain()\n"
    )
    server = Supervised(tmp_path)
    server.command = [sys.executable, "-c", code]
    with server:
        client = in_transaction(server.ready())
        server.popen.send_signal(number)
        server.await_events("stopping")
        server.popen.send_signal(number)
        assert server.popen.wait(60) == status
        client.close()


def test_workers_do_not_outlive_the_supervisor(tmp_path):
    with Supervised(tmp_path) as server:
        server.ready()
        workers = server.workers()
        server.popen.kill()
        eventually(lambda: not any(map(parent, workers)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_workers_ignore_signals_of_the_terminal(tmp_path, number):
    with Supervised(tmp_path) as server:
        port = server.ready()
        workers = server.workers()
        for worker in workers:
            os.kill(worker, number)
        with connect(port) as client:
            send(client, "x")
        assert server.workers() == workers
        assert server.stop() == 0


def test_the_service_manager_is_notified(tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(60)

        def notification():
            while (state := manager.recv(1000).decode()) == "WATCHDOG=1":
                pass
            return state

        environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "200000"}
        with Supervised(tmp_path, environment=environment) as server:
            assert notification() == "READY=1"
            while manager.recv(1000) != b"WATCHDOG=1":
                pass
            server.send_hangup()
            assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", notification())
            assert notification() == "READY=1"
            server.popen.send_signal(signal.SIGTERM)
            assert notification() == "STOPPING=1"
            assert server.popen.wait() == 0


def test_workers_share_a_unix_socket(tmp_path):
    with Supervised(tmp_path, extra='\n[[listen]]\naddress = "unix:socket"\n') as server:
        server.ready()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "socket"))
            assert client.recv(100).startswith(b"220 ")


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_an_inherited_socket_is_served(tmp_path):
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


def test_a_process_that_cannot_be_started_is_reported(tmp_path):
    code = (
        "import errno, os, sys\n"
        "def fork():\n"
        "    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))\n"
        "os.fork = fork\n"
        "sys.argv = ['gatepost', 'serve']\n"
        "from gatepost.cli import main\nmain()\n"
    )
    server = Supervised(tmp_path)
    server.command = [sys.executable, "-c", code]
    with server:
        assert server.popen.wait() == 1
    lines = [one for one in server.log().splitlines() if "ledger start failed" not in one]
    assert lines == ["gatepost: a worker cannot be started: Resource temporarily unavailable"]
