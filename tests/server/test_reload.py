"""SIGHUP: a reload replaces all workers and interrupts no session."""

import socket

import pytest
from tests.process.supervised import (
    PLUGIN,
    USES_PLUGIN,
    Supervised,
    connect,
    eventually,
    greeting,
    in_transaction,
    refuses_connections,
    send,
    sending,
    subjects,
)
from tools.daemon import free_port

FAILED = "reload failed"


@pytest.mark.parametrize("numbers", [(2, 2, 2), (3, 1, 2)], ids=["same", "changing"])
def test_no_session_is_refused_or_interrupted(tmp_path, numbers):
    with Supervised(tmp_path) as server:
        port = server.ready()
        with sending(port) as senders:
            eventually(lambda: all(one.accepted for one in senders))
            for generation, workers in enumerate(numbers):
                name = f"mx{generation}.example.com"
                server.reload(hostname=name, server=f"workers = {workers}")
                eventually(lambda name=name: greeting(port) == name)
                eventually(lambda workers=workers: len(server.workers()) == workers)
        assert server.stop() == 0
    assert [error for one in senders for error in one.errors] == []
    accepted = [name for one in senders for name in one.accepted]
    assert sorted(subjects(server)) == sorted(accepted)


def test_an_open_session_keeps_its_configuration(tmp_path):
    with Supervised(tmp_path) as server:
        port = server.ready()
        client = in_transaction(port)
        old = server.workers()
        server.reload(hostname="new.example.com")
        eventually(lambda: greeting(port) == "new.example.com")
        assert client.data("Subject: x\r\n\r\n")[0] == 250
        send(client, "y")
        assert b"mx.example.com" in client.ehlo()[1]
        client.quit()
        eventually(lambda: not old & server.workers())
        assert len(server.workers()) == 2
    assert sorted(subjects(server)) == ["x", "y"]


def test_a_session_longer_than_stop_timeout_gets_421(tmp_path):
    with Supervised(tmp_path, server='workers = 1\nstop_timeout = "100ms"') as server:
        client = connect(server.ready())
        client.ehlo()
        server.reload()
        assert client.getreply()[0] == 421
        client.close()


def test_the_oldest_of_many_generations_is_stopped(tmp_path):
    with Supervised(tmp_path, server="workers = 1") as server:
        port = server.ready()
        clients = []
        for _ in range(6):
            clients.append(connect(port))
            server.reload()
        assert clients[0].getreply()[0] == 421
        assert clients[-1].noop()[0] == 250
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"server": "workers = -1"}, "server.workers: expected a whole number from 0 to 1024"),
        ({"extra": "["}, "invalid TOML"),
        ({"server": 'user = "mail"'}, 'server.user: expected "" until the next restart'),
        ({"extra": '[traps]\nlists = ["gone"]'}, "gone: cannot be read: No such file"),
        ({"extra": USES_PLUGIN}, "mine.py: no such file"),
    ],
    ids=["value", "syntax", "user", "list", "plugin"],
)
def test_a_bad_configuration_changes_nothing(tmp_path, settings, problem):
    with Supervised(tmp_path) as server:
        port = server.ready()
        workers = server.workers()
        server.configure(hostname="new.example.com", **settings)
        server.send_hangup()
        (event,) = server.await_events(FAILED)
        assert problem in event["problem"]
        assert greeting(port) == "mx.example.com"
        eventually(lambda: server.workers() == workers)
        assert server.reload(server="workers = 2", extra="")
        eventually(lambda: greeting(port) == "new.example.com")


def test_a_changed_address_is_bound_and_the_old_one_closed(tmp_path):
    with Supervised(tmp_path) as server:
        old, new = server.ready(), free_port()
        assert server.reload(address=f"127.0.0.1:{new}")["listen"] == [f"smtp=127.0.0.1:{new}"]
        with connect(new) as client:
            send(client, "x")
        eventually(lambda: refuses_connections(old))


def test_an_address_in_use_fails_the_reload(tmp_path):
    with Supervised(tmp_path) as server, socket.create_server(("127.0.0.1", 0)) as other:
        port = server.ready()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        server.configure(address=address)
        server.send_hangup()
        (event,) = server.await_events(FAILED)
        assert event["problem"] == f"cannot listen on {address}: Address already in use"
        assert greeting(port) == "mx.example.com"


HANGS = {
    "import": "import threading\nthreading.Event().wait()\n",
    "start": PLUGIN.replace(
        "    pass\n",
        "    def start(self):\n        import threading\n        threading.Event().wait()\n",
    ),
    "asynchronous start": PLUGIN.replace(
        "    pass\n",
        "    async def start(self):\n"
        "        import asyncio\n"
        "        await asyncio.Event().wait()\n",
    ),
}


@pytest.mark.parametrize("hangs", HANGS.values(), ids=HANGS)
def test_a_plugin_that_hangs_fails_the_reload(tmp_path, hangs):
    with Supervised(tmp_path) as server:
        port = server.ready()
        before = server.workers()
        (tmp_path / "mine.py").write_text(hangs)
        server.configure(server='workers = 2\nstart_timeout = "8s"', extra=USES_PLUGIN)
        server.send_hangup()
        (event,) = server.await_events(FAILED)
        assert event["problem"].startswith("a worker was not ready within 8 s")
        eventually(lambda: server.workers() == before)
        assert greeting(port) == "mx.example.com"
        assert ("mine.py" in server.log()) is ("await" not in hangs)  # the stack


def test_a_plugin_that_hangs_fails_the_start(tmp_path):
    (tmp_path / "mine.py").write_text(HANGS["import"])
    with Supervised(tmp_path, server='start_timeout = "8s"', extra=USES_PLUGIN) as server:
        assert server.popen.wait() == 1
    assert "gatepost: a worker was not ready within 8 s (server.start_timeout)" in server.log()
    assert 'mine.py", line 2 in <module>' in server.log()


def test_a_reload_replaces_an_unfinished_one(tmp_path):
    waiting = PLUGIN.replace(
        "    pass\n",
        "    async def start(self):\n"
        "        import asyncio\n"
        "        self.log.warning('waiting')\n"
        "        await asyncio.Event().wait()\n",
    )
    with Supervised(tmp_path) as server:
        port = server.ready()
        (tmp_path / "mine.py").write_text(waiting)
        server.configure(extra=USES_PLUGIN)
        server.send_hangup()
        server.await_events("waiting")
        assert greeting(port) == "mx.example.com"
        server.reload(extra="", hostname="new.example.com")
        eventually(lambda: greeting(port) == "new.example.com")
        eventually(lambda: len(server.workers()) == 2)
        assert server.stop() == 0


def test_a_hangup_before_the_server_is_ready_reloads_later(tmp_path):
    (tmp_path / "mine.py").write_text(
        PLUGIN.replace(
            "    pass\n",
            "    async def start(self):\n"
            "        from asyncio import sleep\n"
            "        from pathlib import Path\n"
            "        self.log.warning('waiting')\n"
            "        while not Path('go').exists():\n"
            "            await sleep(0.01)\n",
        )
    )
    with Supervised(tmp_path, extra=USES_PLUGIN) as server:
        server.await_events("waiting")
        server.configure(hostname="new.example.com")
        server.send_hangup()
        (tmp_path / "go").touch()
        port = server.ready()
        server.await_events("reloaded")
        eventually(lambda: greeting(port) == "new.example.com")
