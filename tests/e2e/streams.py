"""Clients that send mail until the server is killed."""

import contextlib
import threading

from tests.e2e.raw import envelope, stuffed

SENDERS = 4
BOXES = ("one@open.example", "two@open.example")
MOST = 500  # most mails of a sender, in case the server is not killed


def content(token):
    return b"Subject: " + token.encode() + b"\r\n\r\n" + b"z" * 4000 + b"\r\n"


class Stream:
    """Sends mail to two mailboxes until the connection breaks; `accepted` has the tokens."""

    def __init__(self, client, name, on_accept):
        self.client, self.name, self.on_accept = client, name, on_accept
        self.accepted = []

    def run(self):
        with contextlib.suppress(ConnectionError):
            for number in range(MOST):
                self.send(f"{self.name}-{number}")

    def send(self, token):
        *_, last = self.client.exchange(*envelope(*BOXES), "DATA")
        self.expect("354", last)
        self.client.send(stuffed(content(token)))
        self.expect("250", self.client.reply())
        self.accepted.append(token)
        self.on_accept()

    def expect(self, code, reply):
        if not reply:
            raise ConnectionResetError
        assert reply[:3] == code


class Killer:
    """Kills the server as soon as `after` mails have been accepted."""

    def __init__(self, server, after):
        self.server, self.left, self.lock = server, after, threading.Lock()

    def __call__(self):
        with self.lock:
            self.left -= 1
            if self.left == 0:
                self.server.kill()
