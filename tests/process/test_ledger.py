"""The ledger process of a server: its records, its end and its replacement."""

import json
import os
import signal
import smtplib
import subprocess
import sys
import urllib.request

from tests.process.supervised import Supervised, eventually

from gatepost.ledger.records import Connection, Gap, Notice, Transaction
from gatepost.ledger.selection import Key, Selection
from gatepost.ledger.store import LedgerReader

NAME = "gatepost-ledger"


def send(port, to="one@example.com"):
    """Send a message; return the reply to its content."""
    with smtplib.SMTP("127.0.0.1", port, "client.example", 30) as client:
        client.ehlo()
        client.mail("a@client.example")
        client.rcpt(to)
        return client.data(b"Subject: x\r\n\r\ntext\r\n")


def records(folder, *kinds):
    """Return the records of these kinds, oldest first."""
    reader = LedgerReader(folder / "var/ledger")
    try:
        return [one for one in reader.select(Selection()) if type(one) in kinds][::-1]
    finally:
        reader.close()


def found(folder, key):
    reader = LedgerReader(folder / "var/ledger")
    try:
        return reader.find(key)
    finally:
        reader.close()


def has_ledger(folder):
    return any((folder / "var/ledger").glob("*.sqlite"))


def test_a_message_is_found_by_its_reference(tmp_path):
    with Supervised(tmp_path) as server:
        code, text = send(server.ready())
        ref = text.decode().rpartition(" ")[2]
        assert code == 250
        eventually(lambda: has_ledger(tmp_path) and found(tmp_path, Key("ref", ref)))
        [transaction] = [one for one in found(tmp_path, Key("ref", ref)) if one.ref == ref]
        assert (transaction.sender, transaction.result) == ("a@client.example", "accepted")
        [by_address] = found(tmp_path, Key("address", "one@example.com"))
        assert by_address == transaction


def test_everything_is_written_when_the_server_stops(tmp_path):
    with Supervised(tmp_path) as server:
        port = server.ready()
        for _ in range(5):
            send(port)
        server.popen.send_signal(signal.SIGTERM)
        assert server.popen.wait(60) == 0
    assert len(records(tmp_path, Transaction)) == 5
    assert len(records(tmp_path, Connection)) == 5
    assert [one.name for one in records(tmp_path, Notice)] == ["started", "stopping"]


def test_mail_goes_on_while_the_process_is_killed_and_replaced(tmp_path):
    with Supervised(tmp_path, server="workers = 1") as server:
        port = server.ready()
        send(port)
        eventually(lambda: has_ledger(tmp_path) and records(tmp_path, Connection))
        [pid] = server.children(NAME)
        os.kill(pid, signal.SIGSTOP)  # what is sent now is taken over by no process
        for _ in range(3):
            assert send(port)[0] == 250
        os.kill(pid, signal.SIGKILL)
        server.await_events("ledger exited")
        eventually(lambda: server.children(NAME) - {pid})
        assert send(port)[0] == 250
        server.popen.send_signal(signal.SIGTERM)
        assert server.popen.wait(60) == 0
    assert len(records(tmp_path, Transaction)) == 5
    assert records(tmp_path, Gap) == []
    assert "ledger process exited" in [one.name for one in records(tmp_path, Notice)]


def test_the_process_is_replaced_if_a_reload_changes_its_configuration(tmp_path):
    with Supervised(tmp_path) as server:
        server.ready()
        [pid] = eventually(lambda: server.children(NAME))
        server.popen.send_signal(signal.SIGHUP)
        server.await_events("reloaded")
        assert server.children(NAME) == {pid}
        server.configure(extra='[ledger]\nexport = "jsonl:records.json"')
        server.popen.send_signal(signal.SIGHUP)
        server.await_events("reloaded", 2)
        eventually(lambda: server.children(NAME) and server.children(NAME) != {pid})
        send(server.ready())
        file = tmp_path / "records.json"
        eventually(lambda: file.exists() and '"kind":"transaction"' in file.read_text())


def test_no_process_without_a_ledger_and_metrics(tmp_path):
    with Supervised(tmp_path, extra="[ledger]\nenabled = false") as server:
        assert send(server.ready())[0] == 250
        assert server.children(NAME) == set()
    assert not has_ledger(tmp_path)


def fetched(server, path):
    """Return what the metrics server answers; its address is in the log."""
    [event, *_] = server.await_events("metrics served")
    with urllib.request.urlopen(f"http://{event['address']}{path}", timeout=30) as answer:
        return answer.read().decode()


METRICS = '[metrics]\nlisten = "127.0.0.1:0"'


def test_metrics_and_health_are_served(tmp_path):
    with Supervised(tmp_path, extra=METRICS) as server:
        port = server.ready()
        send(port)
        counted = 'gatepost_messages_total{result="accepted"} 1.0'
        eventually(lambda: counted in fetched(server, "/metrics"))
        text = eventually(
            lambda: (
                "gatepost_sessions_open" in fetched(server, "/metrics")
                and fetched(server, "/metrics")
            )
        )
        assert 'gatepost_ledger_records_total{kind="transaction"} 1.0' in text
        health = json.loads(fetched(server, "/health"))
        assert (health["live"], health["ready"], len(health["workers"])) == (True, True, 2)


def test_metrics_without_a_ledger(tmp_path):
    with Supervised(tmp_path, extra=f"{METRICS}\n[ledger]\nenabled = false") as server:
        send(server.ready())
        counted = 'gatepost_messages_total{result="accepted"} 1.0'
        eventually(lambda: counted in fetched(server, "/metrics"))
    assert not has_ledger(tmp_path)


def test_the_state_of_a_server_that_runs(tmp_path):
    with Supervised(tmp_path) as server:
        server.ready()
        eventually((tmp_path / "var/ledger/status.json").exists)
        command = [sys.executable, "-m", "gatepost", "status", "--json"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        found = json.loads(done.stdout)
        assert done.returncode == 0, done.stdout
        assert len(found["workers"]) == 2
