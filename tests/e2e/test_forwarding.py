"""An alias at another provider, which is a real Postfix, and its bounce."""

import re

import pytest
from tests.e2e.conftest import relay, relaying
from tests.e2e.raw import Raw, codes
from tests.e2e.server import eventually
from tools import postfix

PLUGINS = """
[[plugin]]
use = "aliases"
options = { aliases = { "team@forwarder.example" = ["alice@provider.example"] } }

[[plugin]]
use = "srs"
options = { domain = "srs.forwarder.example", secrets = ["a secret of the test"] }
"""


@pytest.mark.parametrize("mode", ["direct", "queue"])
def test_the_provider_gets_the_rewritten_sender_and_its_bounce_comes_back(tmp_path, mode):
    if why := postfix.why_not():
        pytest.skip(why)
    with (
        postfix.running({"virtual_mailbox_domains": "provider.example, client.example"}) as mail,
        relaying(tmp_path, relay(mail.port, 'tls = "none"', mode), PLUGINS) as gate,
    ):
        send(gate, "carol@client.example", "team@forwarder.example")
        (message,) = eventually(lambda: mail.mails("alice@provider.example"))
        found = re.search(rb"Return-Path: <(SRS0=\S+@srs\.forwarder\.example)>", message)
        assert found, message
        send(gate, "", found[1].decode())
        (bounce,) = eventually(lambda: mail.mails("carol@client.example"))
        assert b"Return-Path: <>" in bounce


def send(gate, sender, recipient):
    with Raw(gate.port, "EHLO client.example") as client:
        commands = (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>", "DATA")
        assert codes(client.exchange(*commands)) == ["250", "250", "354"]
        client.send(b"Subject: x\r\n\r\ntext\r\n.\r\n")
        assert client.reply()[:3] == "250"
