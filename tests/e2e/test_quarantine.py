"""Messages in quarantine survive every end of the server, and reach a mailbox after the release."""

import getpass
import json
import subprocess

import pytest
from tests.e2e.conftest import serving
from tests.e2e.raw import Raw, codes, envelope, stuffed
from tests.e2e.server import GATEPOST, eventually

HOLD = """
from gatepost import Plugin, hold

class HoldAll(Plugin):
    def on_rcpt(self, tx, rcpt):
        return hold("odd")
"""
COUNT = 10
BOX = "box@open.example"


@pytest.fixture(params=["direct", "queue"])
def server(tmp_path, request):
    (tmp_path / "hold_all.py").write_text(HOLD)
    plugin = '\n[[plugin]]\nuse = "hold_all.py"\n'
    with serving(tmp_path, plugin, route=f'mode = "{request.param}"') as running:
        yield running


def printed(server, *arguments):
    argv = [GATEPOST, *arguments, "-c", server.folder / "gatepost.toml"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def explained(server, reference, word):
    """Return what explain prints, "" before the ledger has the records with this word."""
    argv = [GATEPOST, "explain", reference, "-c", server.folder / "gatepost.toml"]
    text = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    return text if word in text else ""


def held(server):
    return json.loads(printed(server, "queue", "list", "--held", "--plugin", "hold_all", "--json"))


def send(server):
    """Send COUNT messages; return their contents."""
    contents = [b"Subject: %d\r\n\r\ntext\r\n" % number for number in range(COUNT)]
    with Raw(server.port) as client:
        for content in contents:
            replies = client.exchange(*envelope(BOX), "DATA")
            assert codes(replies) == ["250", "250", "354"]
            client.send(stuffed(content))
            assert client.reply()[:3] == "250"
    return sorted(contents)


def arrived(server):
    return sorted(mail.content for mail in server.mails(BOX))


def test_a_kill_between_the_release_and_the_delivery_loses_and_doubles_nothing(server):
    sent = send(server)
    server.kill()
    assert len(held(server)) == COUNT
    printed(server, "queue", "release", "--plugin", "hold_all")
    assert arrived(server) == []
    server.start()
    eventually(lambda: arrived(server) == sent)
    eventually(lambda: printed(server, "queue", "list") == "Mail queue is empty\n")


def test_a_kill_during_the_release_loses_nothing(server):
    sent = send(server)
    assert arrived(server) == []
    printed(server, "queue", "release", "--plugin", "hold_all")
    server.kill()
    server.start()
    eventually(lambda: set(arrived(server)) >= set(sent))
    eventually(lambda: printed(server, "queue", "list") == "Mail queue is empty\n")


def test_explain_shows_who_has_held_and_released_a_message(server):
    send(server)
    reference = held(server)[0]["ref"]
    printed(server, "queue", "release", reference)
    found = eventually(lambda: explained(server, reference, "released"))
    text = " ".join(found.split())
    assert "Changes held odd (hold_all)" in text
    assert "odd (hold_all)" in text.partition("Delivery")[2]
    assert f"by {getpass.getuser()}" in text.partition("Delivery")[2]
