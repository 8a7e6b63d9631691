"""Webhooks, with an HTTP server of the test."""

import json
import socket
import threading

import pytest
from structlog.testing import capture_logs
from tests.docs.pages import blocks
from tests.ledger.made import connection, delivery, transaction
from tests.ledger.receiver import PATIENCE, Receiver

from gatepost.config.schema import Config, ServerConfig, WebhookConfig
from gatepost.ledger import webhook
from gatepost.ledger.link import Link, socket_pair
from gatepost.ledger.records import Notice, Trap
from gatepost.ledger.webhook import Hook, WebhookSender, is_event
from gatepost.metrics.counting import Counting
from gatepost.process.ledger_process import is_needed
from gatepost.server.ledger_opening import open_keeper

SECRET = b"secret"


def refused(number=1, **facts):
    return transaction(number, result="refused", **facts)


def sending(*hooks, delays=()):
    return WebhookSender(hooks, gather=0.0, delays=delays)


def test_records_of_the_events_are_sent_and_signed_as_the_page_verifies():
    namespace = {}
    exec(blocks("webhooks", "python")[0], namespace)
    verify = namespace["verify"]
    with Receiver() as receiver:
        sender = sending(Hook(receiver.url, {"refused"}, SECRET))
        sender.send([refused(1), transaction(2), refused(3)])
        headers, body = receiver.requests.get(timeout=PATIENCE)
        sender.close(PATIENCE)
    assert [one["ref"] for one in json.loads(body)["records"]] == ["s1.1", "s3.1"]
    assert headers["Content-Type"] == "application/json"
    assert verify(SECRET, headers, body)
    assert not verify(SECRET, headers, body + b" ")
    assert not verify(b"other", headers, body)
    assert not verify(SECRET, headers, body, now=float(headers["Gatepost-Timestamp"]) + 301)


def test_each_url_gets_its_events_in_bounded_requests(monkeypatch):
    monkeypatch.setattr(webhook, "BATCH", 2)
    with Receiver() as one, Receiver() as other:
        sender = sending(Hook(one.url, {"refused"}, SECRET), Hook(other.url, {"accepted"}, SECRET))
        sender.send([refused(number) for number in range(5)])
        sender.send([transaction(9)])
        sender.close(PATIENCE)
        assert [len(one.next()[1]) for _ in range(3)] == [2, 2, 1]
        assert other.next()[1][0]["ref"] == "s9.1"
        assert one.requests.empty()
        assert other.requests.empty()


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_failed_request_is_sent_again_with_the_same_id(status):
    with Receiver(status, status, 200) as receiver, capture_logs() as logged:
        sender = sending(Hook(receiver.url, {"refused"}, SECRET), delays=(0.0, 0.0, 0.0))
        sender.send([refused()])
        found = [receiver.next() for _ in range(3)]
        sender.close(PATIENCE)
    assert len({headers["Gatepost-Id"] for headers, _ in found}) == 1
    assert [one["event"] for one in logged] == ["webhook failed"] * 2
    assert (logged[0]["host"], logged[0]["problem"]) == ("http://127.0.0.1", f"status {status}")
    assert "token" not in str(logged)


@pytest.mark.parametrize("status", [400, 404, 307])
def test_a_request_that_the_receiver_refuses_is_dropped_and_the_next_is_sent(status):
    with Receiver(status, 200) as receiver, capture_logs() as logged:
        sender = sending(Hook(receiver.url, {"refused"}, SECRET), delays=(3600.0,))
        sender.send([refused(1)])
        receiver.next()
        sender.send([refused(2)])
        assert receiver.next()[1][0]["ref"] == "s2.1"
        sender.close(PATIENCE)
        assert receiver.requests.empty()
    assert [one["event"] for one in logged] == ["webhook records dropped", "webhook available"]
    assert logged[1]["dropped"] == 1


def test_a_receiver_that_is_gone_costs_the_records_after_the_last_attempt():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        with capture_logs() as logged:
            sender = sending(Hook(url, {"refused"}, SECRET), delays=(0.0,))
            sender.send([refused()])
            sender.close(PATIENCE)
    dropped = ["webhook records dropped"] * 2  # at once, and the number at the stop
    assert [one["event"] for one in logged] == ["webhook failed", *dropped]
    assert logged[0]["problem"] == "ClientConnectorError"
    assert logged[2]["count"] == 1


@pytest.mark.parametrize("limit", [{"MOST": 1}, {"OCTETS": 1000}])
def test_records_over_the_limit_are_dropped_and_counted(monkeypatch, limit):
    for name, value in limit.items():
        monkeypatch.setattr(webhook, name, value)
    with Receiver() as receiver, capture_logs() as logged:
        sender = sending(Hook(receiver.url, {"refused"}, SECRET))
        sender.send([refused(number) for number in range(9)])
        assert len(receiver.next()[1]) < 9
        sender.close(PATIENCE)
    assert [one["event"] for one in logged] == ["webhook records dropped", "webhook available"]


def test_a_stop_does_not_wait_for_a_receiver_that_fails():
    with Receiver(500) as receiver, capture_logs() as logged:
        sender = sending(Hook(receiver.url, {"refused"}, SECRET), delays=(3600.0,))
        sender.send([refused(1)])
        receiver.next()
        sender.send([refused(2)])
        sender.close(0.0)
    assert logged[-1] | {"log_level": ""} == {
        "event": "webhook records dropped",
        "host": "http://127.0.0.1",
        "problem": "the server stops",
        "count": 2,
        "log_level": "",
    }


@pytest.mark.parametrize(
    ("record", "events"),
    [
        (transaction(1), {"accepted"}),
        (refused(), {"refused"}),
        (connection(1, reply="554 no", end="refused"), {"refused"}),
        (delivery(1, result="bounced"), {"bounced"}),
        (Notice(1.0, "started"), {"notice"}),
    ],
)
def test_the_events_of_records(record, events):
    every = {"accepted", "refused", "deferred", "abandoned", "bounced", "held", "notice"}
    assert is_event(record, events)
    assert not is_event(record, every - events)
    assert not is_event(record, {"trap"})


def test_a_transaction_with_a_trap_is_an_event_of_its_own():
    trap = Trap("trap@example.com", "trap@example.com", "traps", 1)
    assert is_event(transaction(1, traps=[trap]), {"trap"})


def keeper_of(folder, *webhooks):
    config = Config(
        base=folder, server=ServerConfig(data_dir=str(folder / "var")), webhook=webhooks
    )
    assert is_needed(config) is True
    return open_keeper(config, Counting(), counts=False)


def test_the_keeper_of_the_ledger_sends_what_it_has_written(tmp_path):
    (tmp_path / "secret").write_text("secret\n")
    reader, sender = socket_pair()
    with Receiver() as receiver, reader:
        hook = WebhookConfig(url=receiver.url, events=["refused"], secret_file="secret")
        keeper = keeper_of(tmp_path, hook)
        thread = threading.Thread(target=keeper.run, args=(reader,))
        thread.start()
        with sender:
            link = Link(sender, lambda _delay, _call: None)
            link.add(refused())
            link.flush()
        assert receiver.next()[1][0]["ref"] == "s1.1"
        thread.join()


def test_a_webhook_with_a_fault_is_logged_and_the_ledger_is_kept(tmp_path, monkeypatch):
    hook = WebhookConfig(url="http://127.0.0.1/", events=["refused"], secret_file="secret")
    with capture_logs() as logged:
        keeper_of(tmp_path, hook)._store.close()
        (tmp_path / "secret").write_text("secret\n")

        def missing(*_arguments):
            raise ModuleNotFoundError("aiohttp")

        monkeypatch.setattr(webhook, "WebhookSender", missing)
        keeper = keeper_of(tmp_path, hook)
        keeper._on_end()
        keeper._store.close()
    assert [one["event"] for one in logged] == ["webhook not used"] * 2
    assert "secret: cannot be read" in logged[0]["problem"]
    assert "gatepost[http]" in logged[1]["problem"]
