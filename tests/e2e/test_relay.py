"""An unreachable next hop, and the client's identity as a real Postfix gets it.

Content delivered to Postfix and other servers is in test_downstream.py.
"""

import pytest
from tests.e2e.conftest import relay, relaying
from tests.e2e.raw import Raw, codes, envelope
from tests.e2e.server import eventually
from tools import postfix
from tools.daemon import free_port


def test_an_unreachable_next_hop_defers_the_message(tmp_path):
    with relaying(tmp_path, relay(free_port(), "verify = true")) as gate, Raw(gate.port) as client:
        assert codes(client.exchange(*envelope("alice@example.com"), "DATA")) == [
            "250",
            "250",
            "354",
        ]
        client.send(b"Subject: x\r\n\r\n.\r\n")
        assert client.reply().startswith("451 4.4.1 Cannot connect to next hop")


def test_the_next_hop_gets_the_clients_identity(tmp_path):
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


@pytest.mark.parametrize(
    ("rule", "status"),
    [
        ("reject_unknown_client_hostname", "4.7.25"),
        ("reject_unknown_reverse_client_hostname", "4.7.1"),
    ],
)
def test_xclient_has_no_name_for_the_rules_of_postfix(tmp_path, rule, status):
    """As docs/relay.md warns."""
    if why := postfix.why_not():
        pytest.skip(why)
    rules = {"smtpd_authorized_xclient_hosts": "127.0.0.0/8", "smtpd_client_restrictions": rule}
    with (
        postfix.running(rules) as mail,
        relaying(tmp_path, relay(mail.port, 'forward = "xclient"')) as gate,
        Raw(gate.port, "EHLO real.client.example") as client,
    ):
        assert codes(client.exchange(*envelope("alice@example.com"))) == ["250", "250"]
        client.send(b"BDAT 14 LAST\r\nSubject: x\r\n\r\n")
        assert client.reply().startswith(f"450 {status} Client host rejected")
