"""Webhooks of a real server: the ledger process sends them."""

import os
import signal

import pytest
from tests.ledger.receiver import Receiver
from tests.process.supervised import Supervised, connect, eventually

HOOK = """
[[webhook]]
url = "{url}"
events = ["refused", "notice"]
secret_file = "secret"
"""


def refused(port):
    with connect(port) as client:
        client.ehlo()
        client.mail("me@client.example")
        assert client.rcpt("one@other.example")[0] == 550


def recipient(receiver):
    """Wait for the next refusal; return its recipient."""
    while True:
        _, records = receiver.next()
        for one in records:
            if one["kind"] == "transaction":
                return one["recipients"][0]["address"]


@pytest.mark.parametrize("ledger", ["", "\n[ledger]\nenabled = false\n"])
def test_a_refusal_reaches_the_receiver_also_after_the_process_was_killed(tmp_path, ledger):
    (tmp_path / "secret").write_text("secret\n")
    with Receiver() as receiver:
        extra = HOOK.format(url=receiver.url) + ledger
        with Supervised(tmp_path, server="workers = 1", extra=extra) as server:
            port = server.ready()
            refused(port)
            assert recipient(receiver) == "one@other.example"
            (pid,) = server.children("gatepost-ledger")
            os.kill(pid, signal.SIGKILL)
            server.await_events("ledger exited")
            eventually(lambda: server.children("gatepost-ledger") - {pid})
            refused(port)
            assert recipient(receiver) == "one@other.example"
            assert server.stop() == 0
