"""A plugin edits mail on its way to a real Postfix: with BDAT a wrong size would be refused."""

import pytest
from tests.e2e.conftest import relay, relaying
from tests.e2e.raw import Raw, codes, envelope
from tests.e2e.server import eventually
from tools import postfix

PLUGIN = """
from gatepost import Plugin


class Edit(Plugin):
    def on_message(self, tx):
        tx.message.remove_header("X-Spam")
        tx.message.replace_header("Subject", "[EXT] Grüße")
        tx.message.add_header("X-Last", "1", first=False)
        if "large" in tx.recipients[0].address.local:
            tx.message.replace_body(b"%07d\\r\\n" % number for number in range(200_000))
"""
CONTENT = b"X-Spam: yes\r\nSubject: hello\r\nX-Folded: a\r\n\tb\r\n\r\ntext\r\n"
EDITED = b"Subject: [EXT] =?utf-8?b?R3LDvMOfZQ==?=\nX-Folded: a\n\tb\nX-Last: 1\n\n"
LARGE = b"".join(b"%07d\n" % number for number in range(200_000))


def warnings(log):
    """Return the warnings in a log of Postfix, without those about the clock of the machine."""
    lines = [one for one in log.splitlines() if "warning" in one]
    return [one for one in lines if "clock" not in one and "time stamps" not in one]


@pytest.mark.parametrize("mode", ["direct", "queue"])
def test_postfix_gets_the_edited_message(tmp_path, mode):
    if reason := postfix.why_not():
        pytest.skip(reason)
    (tmp_path / "edit.py").write_text(PLUGIN)
    plugin = '[[plugin]]\nuse = "edit.py"\n'
    with (
        postfix.running({"mynetworks": "127.0.0.0/8"}) as mail,
        relaying(tmp_path, relay(mail.port, 'tls = "none"', mode), plugin) as gate,
    ):
        for user, body in (("alice", b"text\n"), ("alice+large", LARGE)):
            address = f"{user}@example.com"
            with Raw(gate.port) as client:
                assert codes(client.exchange(*envelope(address))) == ["250", "250"]
                client.send(b"BDAT %d LAST\r\n" % len(CONTENT) + CONTENT)
                assert client.reply()[:3] == "250"
            (message,) = eventually(lambda to=address: mail.mails(to))
            assert message.endswith(b"+0000\n" + EDITED + body)
        assert not warnings(mail.log())
