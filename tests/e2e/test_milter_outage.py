"""Gatepost as a milter is killed under load: no message is lost, doubled or unchecked."""

import contextlib
import itertools
import re
import signal
import smtplib
import threading

import pytest
from tests.e2e.milter import LISTEN, connected, filtered, port_of
from tests.e2e.server import eventually
from tools import postfix

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(postfix.why_not()), reason=postfix.why_not() or "it runs"),
]

MARK = """
from gatepost import Plugin

class Marks(Plugin):
    def on_message(self, tx):
        tx.message.add_header("X-Checked", "yes")
"""
SUBJECT = re.compile(rb"\nSubject: load-(\d+)\n")


class Load(threading.Thread):
    """Sends messages until it is stopped; `accepted` and `replies` are what it got."""

    def __init__(self, mail, numbers):
        super().__init__()
        self.mail, self.numbers = mail, numbers
        self.accepted, self.replies = set(), set()
        self.stopped = threading.Event()
        self.sent = 0

    def run(self):
        while not self.stopped.is_set():
            with (
                contextlib.suppress(OSError, smtplib.SMTPException),
                connected(self.mail) as client,
            ):
                self.send(client)
            self.sent += 1

    def send(self, client):
        number = next(self.numbers)
        text = f"Subject: load-{number}\n\n" + "x" * 2000
        replies = [*client.envelope("alice@example.com"), *client.exchange("DATA")]
        reply = next((one for one in replies if one[0] in "45"), "")
        if not reply:
            reply = client.content(text)
        self.replies.add(reply[:3])
        if reply.startswith("250"):
            self.accepted.add(number)


@contextlib.contextmanager
def loaded(mail, count=3):
    """Send messages with several clients meanwhile."""
    numbers = itertools.count()
    loads = [Load(mail, numbers) for _ in range(count)]
    for one in loads:
        one.start()
    try:
        yield loads
    finally:
        for one in loads:
            one.stopped.set()
        for one in loads:
            one.join()


def arrived(mail):
    return [int(SUBJECT.search(one)[1]) for one in mail.delivered()]


def fixed_port(folder, port):
    """Let the milter listen on the same port when it starts again."""
    file = folder / "gatepost.toml"
    head, listen, rest = file.read_text().partition(LISTEN)
    file.write_text(head + listen.replace("127.0.0.1:0", f"127.0.0.1:{port}") + rest)


@pytest.mark.parametrize(("action", "checked"), [("tempfail", True), ("accept", False)])
def test_a_milter_that_is_killed_and_restarted_loses_and_doubles_no_message(
    tmp_path, action, checked
):
    main = {"milter_default_action": action}
    with filtered(tmp_path, MARK, main=main) as (gate, mail):
        fixed_port(tmp_path, port_of(gate))
        with loaded(mail) as loads:

            def progress():
                return sum(len(one.accepted) for one in loads)

            for _ in range(3):
                before = progress()
                eventually(lambda before=before: progress() > before + 20)
                gate.kill()
                sent = sum(one.sent for one in loads)
                eventually(lambda sent=sent: sum(one.sent for one in loads) > sent + 10)
                gate.start()
            before = progress()
            eventually(lambda: progress() > before + 20)
        eventually(mail.is_idle)
        accepted = set().union(*(one.accepted for one in loads))
        found = arrived(mail)
        assert sorted(found) == sorted(set(found))
        assert accepted <= set(found)
        marked = [one for one in mail.delivered() if b"X-Checked: yes" in one]
        assert (len(marked) == len(found)) is checked
        replies = set().union(*(one.replies for one in loads))
        assert replies == ({"250", "451"} if checked else {"250"})


def test_a_reload_ends_no_session(tmp_path):
    with filtered(tmp_path, MARK) as (gate, mail):
        fixed_port(tmp_path, port_of(gate))
        with connected(mail) as client:
            client.envelope("alice@example.com")
            gate.process.send_signal(signal.SIGHUP)
            eventually(lambda: (tmp_path / "log").read_text().count("reload") > 0)
            assert client.exchange("DATA")[0].startswith("354")
            assert client.content("Subject: load-1\n\nx").startswith("250 ")
