"""Nothing that was answered 250 is lost, however the server ends."""

import contextlib
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.e2e.raw import Raw, codes, envelope, stuffed
from tests.e2e.server import eventually

CONTENT = b"Subject: sample\r\n\r\nfirst half\r\nsecond half\r\n"
SENDERS = 4
MOST = 500  # mails a sender sends in vain if nobody kills the server


def content(token):
    return b"Subject: " + token.encode() + b"\r\n\r\n" + b"z" * 4000 + b"\r\n"


class Stream:
    """Sends mail to two mailboxes until the connection breaks; `answered` has what got its 250."""

    def __init__(self, client, name, on_answer):
        self.client, self.name, self.on_answer = client, name, on_answer
        self.answered = []

    def run(self):
        with contextlib.suppress(ConnectionError):
            for number in range(MOST):
                self.send(f"{self.name}-{number}")

    def send(self, token):
        *_, last = self.client.say(*envelope(*BOXES), "DATA")
        self.expect("354", last)
        self.client.send(stuffed(content(token)))
        self.expect("250", self.client.reply())
        self.answered.append(token)
        self.on_answer()

    def expect(self, code, reply):
        if not reply:
            raise ConnectionResetError
        assert reply[:3] == code


BOXES = ("one@open.example", "two@open.example")


class Executioner:
    """Kills the server the moment so many mails have been answered."""

    def __init__(self, server, after):
        self.server, self.left, self.lock = server, after, threading.Lock()

    def __call__(self):
        with self.lock:
            self.left -= 1
            if self.left == 0:
                self.server.kill()


@pytest.mark.parametrize("after", [1, 2, 50, 51, 150])
def test_kill_loses_nothing_that_was_answered(own_server, after):
    killer = Executioner(own_server, after)
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(SENDERS) as pool:
        clients = [stack.enter_context(Raw(own_server.port)) for _ in range(SENDERS)]
        streams = [Stream(client, number, killer) for number, client in enumerate(clients)]
        for done in [pool.submit(stream.run) for stream in streams]:
            done.result()
    assert own_server.process.returncode == -signal.SIGKILL
    answered = sorted(token for stream in streams for token in stream.answered)
    assert after <= len(answered) < SENDERS * MOST
    for box in BOXES:
        arrived = [mail.content for mail in own_server.mails(box)]
        assert len(set(arrived)) == len(arrived)
        assert {content(token) for token in answered} <= set(arrived)
        # What got no answer may have arrived, but then whole, and one a connection.
        assert len(arrived) <= len(answered) + SENDERS
    own_server.start()
    with Raw(own_server.port) as client:
        assert codes(client.say(*envelope(*BOXES), "DATA")) == ["250"] * 3 + ["354"]
        client.send(stuffed(CONTENT))
        assert client.reply()[:3] == "250"
    assert all(CONTENT in [mail.content for mail in own_server.mails(box)] for box in BOXES)


def refuses_connections(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionError:
        return True
    return False


def half(client, box, chunked):
    """Send a transaction up to the middle of its content, and return the rest of it."""
    commands = envelope(box) if chunked else [*envelope(box), "DATA"]
    assert codes(client.say(*commands)) == ["250", "250", "354"][: len(commands)]
    octets = b"BDAT %d LAST\r\n%s" % (len(CONTENT), CONTENT) if chunked else stuffed(CONTENT)
    client.send(octets[:40])
    return octets[40:]


@pytest.mark.parametrize("chunked", [False, True], ids=["data", "chunks"])
def test_a_message_under_way_completes_before_the_server_ends(own_server, chunked):
    box = own_server.address()
    with Raw(own_server.port) as client, Raw(own_server.port) as idle:
        rest = half(client, box, chunked)
        own_server.terminate()
        assert idle.rest() == ["421 4.3.2 Server shutting down, try again later"]
        eventually(lambda: refuses_connections(own_server.port))
        assert not own_server.has_ended()
        client.send(rest)
        assert codes(client.rest()) == ["250", "421"]
    assert own_server.wait() == 0
    assert [mail.content for mail in own_server.mails(box)] == [CONTENT]


def test_a_transaction_under_way_completes_before_the_server_ends(own_server):
    box = own_server.address()
    with Raw(own_server.port) as client, Raw(own_server.port) as idle:
        assert codes(client.say(*envelope(box))) == ["250", "250"]
        own_server.terminate()
        assert codes(idle.rest()) == ["421"]
        assert codes(client.say("DATA")) == ["354"]
        client.send(stuffed(CONTENT))
        assert codes(client.rest()) == ["250", "421"]
    assert own_server.wait() == 0
    assert [mail.content for mail in own_server.mails(box)] == [CONTENT]


@pytest.mark.parametrize("chunked", [False, True], ids=["data", "chunks"])
def test_a_message_that_breaks_off_is_not_delivered(own_server, chunked):
    box = own_server.address()
    with Raw(own_server.port) as client:
        half(client, box, chunked)
    with Raw(own_server.port) as client:
        assert codes(client.say("QUIT")) == ["221"]
    own_server.stop()
    assert own_server.delivered() == []


def test_idle_sessions_are_told_that_the_server_ends(own_server):
    clients = [Raw(own_server.port) for _ in range(10)]
    own_server.terminate()
    for client in clients:
        with client:
            assert codes(client.rest()) == ["421"]
    assert own_server.wait() == 0
