"""The process of the dashboard under the supervisor: its address, its end and its replacement."""

import os
import re
import signal
import urllib.request
from contextlib import suppress
from pathlib import Path

from tests.process.supervised import (
    READY,
    Supervised,
    connect,
    eventually,
    refuses_connections,
    send,
    sending,
    subjects,
)

from gatepost.ledger.records import Notice
from gatepost.ledger.selection import Selection
from gatepost.ledger.store import LedgerError, LedgerReader

NAME = "gatepost-web"
WEB = '[web]\nlisten = "127.0.0.1:0"'


def port_of(server):
    """Return the port in the ready line."""
    server.ready()
    return int(re.search(r" web=127\.0\.0\.1:(\d+)", READY.search(server.log())[1])[1])


def get(port, path="/login"):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return answer.status


def test_the_ready_line_has_the_address_and_a_link_adds_the_first_user(tmp_path):
    with Supervised(tmp_path, extra=WEB) as server:
        port = port_of(server)
        assert get(port) == 200
        link = eventually(lambda: re.search(r"gatepost: dashboard (\S+)", server.log()))[1]
        assert link.startswith(f"http://127.0.0.1:{port}/first?token=")
        form = b"name=admin&password=a+long+password"
        with urllib.request.urlopen(link, form, timeout=60) as answer:
            assert answer.status == 200
        assert notices(tmp_path) == ["dashboard user added"]
        assert server.stop() == 0


def notices(folder):
    """Return the events of the dashboard in the ledger, once there are some."""

    def found():
        with suppress(LedgerError):
            records = LedgerReader(folder / "var/ledger").select(Selection(kinds=["notice"]))
            return [
                one.name
                for one in records
                if isinstance(one, Notice) and one.name.startswith("dashboard")
            ]
        return []

    return eventually(found)


def test_no_process_is_started_without_an_address(tmp_path):
    with Supervised(tmp_path) as server:
        server.ready()
        server.await_events("started")
        assert " web=" not in server.log()
        assert server.children(NAME) == set()
        assert server.stop() == 0


def test_mail_goes_on_while_the_process_is_killed_and_replaced(tmp_path):
    with Supervised(tmp_path, extra=WEB) as server:
        port, web = server.ready(), port_of(server)
        assert get(web) == 200
        with sending(port) as senders:
            [pid] = server.children(NAME)
            os.kill(pid, signal.SIGKILL)
            assert get(web) == 200  # it waits in the backlog
            [new] = server.children(NAME)
        assert new != pid
        assert [one.errors for one in senders] == [[], [], []]
        assert len(subjects(server)) == sum(len(one.accepted) for one in senders) > 0
        [event] = server.events("dashboard exited")
        assert event["status"] == "signal SIGKILL"


def test_the_process_ends_with_the_supervisor(tmp_path):
    with Supervised(tmp_path, extra=WEB) as server:
        web = port_of(server)
        assert get(web) == 200
        [pid] = server.children(NAME)
        os.kill(server.popen.pid, signal.SIGKILL)
        server.popen.wait(60)
        eventually(lambda: not Path(f"/proc/{pid}").exists())
        assert refuses_connections(web)


def test_a_reload_starts_moves_and_ends_the_dashboard(tmp_path):
    with Supervised(tmp_path) as server:
        port = server.ready()
        server.reload(extra=WEB)
        [first] = eventually(lambda: server.children(NAME))
        server.reload(extra='[web]\nlisten = "unix:var/web.sock"')
        eventually(lambda: server.children(NAME) - {first})
        assert (tmp_path / "var/web.sock").is_socket()
        server.reload(extra="")
        eventually(lambda: not server.children(NAME))
        with connect(port) as client:
            send(client, "mail")
        assert server.stop() == 0


def test_an_address_that_is_in_use_fails_the_reload(tmp_path):
    with Supervised(tmp_path) as server:
        port = server.ready()
        server.configure(extra=f'[web]\nlisten = "127.0.0.1:{port}"')
        server.send_hangup()
        [event] = server.await_events("reload failed")
        assert f"cannot listen on 127.0.0.1:{port}" in event["problem"]
        assert server.children(NAME) == set()
        assert server.stop() == 0
