"""Send the signed messages, each connection as another client.

A PROXY header (version 1) gives the address of the client, since a connection from the loopback
address is exempt from checks in every server. Like smtp-source, the client waits for each reply. It
runs in threads of the bench; its cost is not measured.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING

from tools.daemon import HOST

from bench.policy.senders import LISTED, RECIPIENT, SENDERS, SIZES, message
from bench.process import POLL, BenchError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from bench.policy.senders import Sender
    from bench.process import Starting

TIMEOUT = 60.0
# Replies of a server that greylists, the only refusals that are counted and not an error.
DEFERRED = b"4"


@dataclass(frozen=True)
class Traffic:
    """Messages of one round: their size, connections, and messages on each connection."""

    size: int
    connections: int
    each: int = 1
    at_once: int = 10

    @property
    def messages(self) -> int:
        """The number of messages."""
        return self.connections * self.each


class Connection:
    """A connection that has been greeted."""

    def __init__(self, port: int, sender: Sender) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=TIMEOUT)
        self._replies: BinaryIO = self._socket.makefile("rb")
        proxied = f"PROXY TCP4 {sender.ip} 127.0.0.1 40000 25\r\n"
        try:
            self.send(proxied.encode(), b"2")
            self.send(f"EHLO {sender.helo}\r\n".encode(), b"2")
        except BaseException:
            self.close()
            raise

    def send(self, octets: bytes, *expected: bytes) -> bytes:
        """Send octets and return the first digit of the reply; raise BenchError for another."""
        self._socket.sendall(octets)
        line = self._replies.readline()
        while line[3:4] == b"-":
            line = self._replies.readline()
        if line[:1] not in expected:
            raise BenchError(f"{octets[:40]!r}: found the reply {line!r}")
        return line[:1]

    def mail(self, sender: Sender, content: bytes) -> bytes:
        """Send a message; return the first digit of the reply, 2 or 4."""
        self.send(f"MAIL FROM:<{sender.address}>\r\n".encode(), b"2")
        if self.send(f"RCPT TO:<{RECIPIENT}>\r\n".encode(), b"2", DEFERRED) == DEFERRED:
            self.send(b"RSET\r\n", b"2")
            return DEFERRED
        self.send(b"DATA\r\n", b"3")
        return self.send(content, b"2", DEFERRED)

    def close(self) -> None:
        """Close the connection."""
        self._replies.close()
        self._socket.close()


def wait_until_ready(starting: Starting, port: int) -> None:
    """Wait until a server greets a client behind a proxy."""
    while not _is_ready(port):
        starting.check()
        time.sleep(POLL)


def _is_ready(port: int) -> bool:
    with contextlib.suppress(OSError, BenchError):
        Connection(port, SENDERS[0]).close()
        return True
    return False


def send(port: int, traffic: Traffic) -> Counter[bytes]:
    """Send the messages of one round; return how often each first digit was the reply."""
    senders = [SENDERS[number % len(SENDERS)] for number in range(traffic.connections)]
    for sender in senders:  # messages are made before the round
        wire(sender, traffic.size)
    with ThreadPoolExecutor(traffic.at_once) as pool:
        return sum(pool.map(_visit, repeat(port), senders, repeat(traffic)), Counter())


def _visit(port: int, sender: Sender, traffic: Traffic) -> Counter[bytes]:
    connection = Connection(port, sender)
    try:
        content = wire(sender, traffic.size)
        found = Counter(connection.mail(sender, content) for _ in range(traffic.each))
        connection.send(b"QUIT\r\n", b"2")
        return found
    finally:
        connection.close()


def wire(sender: Sender, size: int) -> bytes:
    """Return the content as it is sent, with the end of the message. No line starts with a dot."""
    return message(sender.number, size) + b".\r\n"


def everyone() -> Traffic:
    """Return a message of each client."""
    return Traffic(SIZES["4 KB"], len(SENDERS))


def make_known(port: int, delay: float, rounds: Sequence[int] = range(5)) -> None:
    """Send a message from each client until no server defers one; raise BenchError if one does."""
    for _ in rounds:
        if not send(port, everyone())[DEFERRED]:
            return
        time.sleep(delay)
    raise BenchError(f"messages are deferred after {len(rounds)} rounds")


def visit_listed(port: int) -> None:
    """Send a message from the client that is in the lists, whatever the replies."""
    with contextlib.suppress(BenchError):
        _visit(port, LISTED, Traffic(SIZES["4 KB"], 1))
