"""Mail for a next hop that is away, and what a real Postfix is told of the client.

What it gets, and what other servers get, is in test_downstream.py.
"""

import pytest
from tests.e2e.conftest import relay, relaying
from tests.e2e.raw import Raw, codes, envelope
from tests.e2e.server import eventually
from tools import postfix
from tools.daemon import free_port


def test_a_next_hop_that_is_away(tmp_path):
    with relaying(tmp_path, relay(free_port(), "verify = true")) as gate, Raw(gate.port) as client:
        assert codes(client.exchange(*envelope("alice@example.com"), "DATA")) == [
            "250",
            "250",
            "354",
        ]
        client.send(b"Subject: x\r\n\r\n.\r\n")
        assert client.reply().startswith("451 4.4.1 The next hop cannot be reached")


def test_the_next_hop_is_told_of_the_client(tmp_path):
    if why := postfix.why_not():
        pytest.skip(why)
    trusting = {"smtpd_authorized_xclient_hosts": "127.0.0.0/8", "mynetworks": "127.0.0.0/8"}
    with (
        postfix.running(trusting) as mail,
        relaying(tmp_path, relay(mail.port, 'forward = "xclient"')) as gate,
        Raw(gate.port, "EHLO real.client.example") as client,
    ):
        assert codes(client.exchange(*envelope("alice@example.com"))) == ["250", "250"]
        client.send(b"BDAT 14 LAST\r\nSubject: x\r\n\r\n")
        assert client.reply()[:3] == "250"
        (message,) = eventually(lambda: mail.mails("alice@example.com"))
    assert b"Received: from real.client.example (unknown [127.0.0.1])" in message
