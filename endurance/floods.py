"""Attacks on the shares of other clients: each sends what costs the server most.

A row of `FLOODS` is one attack: its number of concurrent connections (`lines`), the listener, and
what it needs of the server. `endurance.fairness` has the listeners.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import ssl
import tempfile
import time
from base64 import b64decode, b64encode
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from endurance.attacks import Line, flood, never_reading, silent, slow_content
from endurance.key_updates import KeyUpdater, client_secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_ENVELOPE = (b"MAIL FROM:<a@bad.example>\r\n", b"RCPT TO:<bad@example.com>\r\n")
_BLOCK = 256 * 1024
# The largest value of limits.header_size, and the memory of one password check, in octets.
_HUGE = 64 * 1024 * 1024
_LARGEST_HEADER = 'header_size = "64MiB"\nmessage_size = "70MiB"'
_PASSWORD_CHECK = 64 * 1024 * 1024
# Listeners of the server, after the usual one.
AUTH_LISTENER, PROXY_LISTENER = 1, 2
# Octets of header fields, just below the default limit.
_HEADER = 255 * 1024
# Domains that no route has, with labels that are expensive to encode.
_FOREIGN = "RCPT TO:<x@{}.example>\r\n".format("ü̈" * 20).encode()


async def _sink(line: Line) -> None:
    """Read and drop replies until the server closes."""
    with contextlib.suppress(OSError):
        await line.until_closed()


async def _pour(line: Line, start: bytes, block: bytes) -> None:
    """Send the same block until the server closes, and drop the replies."""
    reading = asyncio.create_task(_sink(line))
    try:
        await line.send(start)
        while not reading.done():
            await line.send(block)
    finally:
        reading.cancel()


def _repeated(piece: bytes) -> bytes:
    return piece * (_BLOCK // len(piece) + 1)


async def short_lines(line: Line) -> None:
    """Send content in the shortest lines."""
    await _content(line, b"ab\r\n")


async def dotted_lines(line: Line) -> None:
    """Send content in which each line has a dot to remove."""
    await _content(line, b"..\r\n")


async def one_line(line: Line) -> None:
    """Send content without an end of line."""
    await _content(line, b"x")


async def header_fields(line: Line) -> None:
    """Send messages with the most header fields that the default limit permits."""
    await _messages(line, b"A: b\r\n" * (_HEADER // 6))


async def folded_field(line: Line) -> None:
    """Send messages with the longest folded header field that the default limit permits."""
    await _messages(line, b"A: b\r\n" + b" c\r\n" * (_HEADER // 4))


async def _content(line: Line, piece: bytes) -> None:
    await line.open_transaction()
    await line.send(b"DATA\r\n")
    await line.reply()
    await _pour(line, b"Subject: x\r\n\r\n", _repeated(piece))


async def _messages(line: Line, header: bytes) -> None:
    await line.greet()
    while True:
        await line.send(b"".join(_ENVELOPE) + b"DATA\r\n")
        for _ in range(3):
            await line.reply()
        await line.send(header + b"\r\n.\r\n")
        await line.reply()


async def chunks(line: Line) -> None:
    """Send chunks of one octet, pipelined."""
    await line.open_transaction()
    await _pour(line, b"", _repeated(b"BDAT 1\r\nx"))


async def recipients(line: Line) -> None:
    """Send the same recipient, pipelined."""
    await line.open_transaction()
    await _pour(line, b"", _repeated(b"RCPT TO:<bad@example.com>\r\n"))


async def foreign_recipients(line: Line) -> None:
    """Send recipients in internationalised domains that are not local."""
    await line.greet()
    await _pour(line, b"MAIL FROM:<a@bad.example> SMTPUTF8\r\n", _FOREIGN * 100)


async def small_messages(line: Line) -> None:
    """Send whole messages, pipelined."""
    await line.greet()
    message = b"".join(_ENVELOPE) + b"BDAT 3 LAST\r\nx\r\n"
    await _pour(line, b"", message * 1000)


async def octets(line: Line) -> None:
    """Send content in segments of one octet."""
    await line.open_transaction()
    await line.send(b"DATA\r\n")
    await line.reply()
    while True:
        for _ in range(100):
            line.writer.write(b"x")
        await line.writer.drain()
        await asyncio.sleep(0)


async def drip(line: Line) -> None:
    """Send content slowly, one octet per 100 ms."""
    await slow_content(line, pause=0.1)


async def hello_only(line: Line) -> None:
    """Start a TLS handshake and disconnect."""
    await _start_tls(line)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = _context().wrap_bio(incoming, outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    await line.send(outgoing.read())
    await line.reader.read(1)


async def key_updates(line: Line) -> None:
    """Send KeyUpdate messages in a row."""
    updater = await _handshake(line)
    await line.send(b"".join(updater.key_update() for _ in range(2000)))
    await line.until_closed()


async def tiny_records(line: Line) -> None:
    """Send content in TLS records of one octet."""
    updater = await _handshake(line)
    for command in (*_ENVELOPE, b"DATA\r\n"):
        await line.send(updater.record(command))
        await line.reader.read(65536)
    reading = asyncio.create_task(_sink(line))
    try:
        while not reading.done():
            await line.send(b"".join(updater.record(b"x") for _ in range(500)))
    finally:
        reading.cancel()


async def _start_tls(line: Line) -> None:
    await line.greet()
    await line.send(b"STARTTLS\r\n")
    await line.reply()


async def _handshake(line: Line) -> KeyUpdater:
    """Complete STARTTLS and EHLO; return the keys of the client."""
    await _start_tls(line)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys"
        context = _context()
        context.keylog_filename = str(keys)
        tls = context.wrap_bio(incoming, outgoing)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await line.send(outgoing.read())
                incoming.write(await line.reader.read(65536))
        await line.send(outgoing.read())
        cipher = tls.cipher()
        assert cipher is not None
        updater = KeyUpdater(cipher[0], client_secret(keys))
    await line.send(updater.record(b"EHLO bad.example\r\n"))
    await line.reader.read(65536)
    return updater


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


async def proxy_drip(line: Line) -> None:
    """Send a PROXY header slowly, one octet per 100 ms."""
    for octet in b"PROXY TCP6 2001:db8::1 2001:db8::2 1234 25" + b" " * 60:
        await line.send(bytes([octet]))
        await asyncio.sleep(0.1)


async def unknown_senders(line: Line) -> None:
    """Send messages from new addresses and domains, so that each needs new lookups."""
    number = random.getrandbits(48)
    address = ".".join(map(str, (16 + (number & 15), *number.to_bytes(6)[:3])))
    await line.send(f"PROXY TCP4 {address} 192.0.2.1 1234 25\r\n".encode())
    await line.reply()
    host = f"h{number:x}.example"
    for command in (f"EHLO {host}", f"MAIL FROM:<a@{host}>", "RCPT TO:<bad@example.com>", "DATA"):
        await line.send(f"{command}\r\n".encode())
        await line.reply()
    await line.send(f"From: a@{host}\r\n\r\nx\r\n.\r\n".encode())
    await line.reply()


async def plain_logins(line: Line) -> None:
    """Try wrong passwords with AUTH PLAIN."""
    await line.greet()
    for number in itertools.count():
        await line.send(b"AUTH PLAIN " + b64encode(b"\0good\0wrong %d" % number) + b"\r\n")
        await line.reply()


async def scram_logins(line: Line) -> None:
    """Try wrong proofs with AUTH SCRAM-SHA-256."""
    await line.greet()
    first = b64encode(b"n,,n=good,r=nonce")
    while True:
        await line.send(b"AUTH SCRAM-SHA-256 " + first + b"\r\n")
        reply = await line.reply()
        if reply.startswith(b"334 "):
            nonce = b64decode(reply[4:]).partition(b",")[0]
            await line.send(b64encode(b"c=biws,%b,p=%b" % (nonce, b64encode(bytes(32)))) + b"\r\n")
            await line.reply()


async def huge_header(line: Line) -> None:
    """Send messages with the most header fields that the largest limit permits."""
    await line.open_transaction()
    await line.send(b"DATA\r\n")
    await line.reply()
    for _ in range(_HUGE // _BLOCK):
        await line.send(b"A: b\r\n" * (_BLOCK // 6))
    await line.send(b"\r\n.\r\n")
    await line.reply()


class Flood(NamedTuple):
    """An attack, and the number of concurrent connections.

    `listener` is the number of the listener, `limits` are lines of `[limits]` that differ from the
    default, `policy` is whether the server has the plugins of a policy, and name servers that do
    not answer. `memory` is what the server may use in addition, in octets.
    """

    act: Callable[[Line], Awaitable[None]]
    lines: int
    listener: int = 0
    limits: str = ""
    memory: int = 0
    policy: bool = False

    @property
    def name(self) -> str:
        """The name of the row."""
        return f"{self.act.__name__}-{self.lines}"


FLOODS = (
    Flood(never_reading, 150),
    Flood(recipients, 4),
    Flood(chunks, 2),
    Flood(chunks, 6),
    Flood(octets, 8),
    Flood(flood, 20),
    Flood(silent, 800),
    Flood(drip, 800),
    Flood(hello_only, 10),
    Flood(one_line, 20),
    Flood(header_fields, 8),
    Flood(folded_field, 8),
    Flood(tiny_records, 1),
    Flood(tiny_records, 20),
    Flood(foreign_recipients, 1),
    Flood(foreign_recipients, 20),
    Flood(short_lines, 1),
    Flood(short_lines, 20),
    Flood(short_lines, 50),
    Flood(dotted_lines, 50),
    Flood(small_messages, 50),
    Flood(key_updates, 1),
    Flood(proxy_drip, 800, PROXY_LISTENER),
    Flood(plain_logins, 20, AUTH_LISTENER, memory=2 * _PASSWORD_CHECK),
    Flood(scram_logins, 20, AUTH_LISTENER),
    Flood(unknown_senders, 200, PROXY_LISTENER, policy=True),
    Flood(huge_header, 2, limits=_LARGEST_HEADER, memory=2 * 3 * _HUGE),
)


def pour(port: int, row: int, until: float) -> int:
    """Run the attack of a row until `until` (time.time()); return the number of rounds."""
    return asyncio.run(_attack(port, FLOODS[row], until))


async def _attack(port: int, one: Flood, until: float) -> int:
    rounds = itertools.count()
    tasks = [asyncio.create_task(_repeat(port, one, rounds)) for _ in range(one.lines)]
    await asyncio.sleep(max(0.0, until - time.time()))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return next(rounds)


async def _repeat(port: int, one: Flood, rounds: itertools.count[int]) -> None:
    while True:
        with contextlib.suppress(OSError, asyncio.LimitOverrunError, ValueError, ssl.SSLError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await one.act(Line(reader, writer))
            finally:
                writer.transport.abort()
                next(rounds)
        await asyncio.sleep(0)
