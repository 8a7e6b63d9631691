"""Hostile clients: one coroutine for each kind of attack, repeated until the time is over.

Each kind uses many source addresses. If the server refuses or closes a connection, the round ends
and the next round starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import NamedTuple

_MEGABYTE = 1_000_000
_HELLO = b"EHLO bad.example\r\n"
_ENVELOPE = b"MAIL FROM:<a@bad.example>\r\nRCPT TO:<user@example.com>\r\n"
_MILLION = 1_000_000


class Line:
    """One hostile connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send as fast as the server reads."""
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self) -> bytes:
        """Return the last line of a reply; raise OSError if the server has closed."""
        while (line := await self.reader.readline())[3:4] == b"-":
            pass
        if not line:
            raise ConnectionError("closed")
        return line

    async def until_closed(self) -> None:
        """Read until the server closes."""
        while await self.reader.read(65536):
            pass

    async def open_transaction(self) -> None:
        """Read the greeting and complete EHLO, MAIL and RCPT."""
        await self.greet()
        await self.send(_ENVELOPE)
        for _ in range(_ENVELOPE.count(b"\n")):
            await self.reply()

    async def greet(self) -> None:
        """Read the greeting and complete EHLO; nothing may be pipelined with these."""
        await self.reply()
        await self.send(_HELLO)
        await self.reply()


async def slow_command(line: Line) -> None:
    """Send a command in single octets, slowly."""
    for octet in itertools.cycle(b"EHLO bad.example "):
        await line.send(bytes([octet]))
        await asyncio.sleep(0.5)


async def slow_content(line: Line, pause: float = 0.5) -> None:
    """Send content in single octets, slowly: one in `pause` seconds."""
    await line.open_transaction()
    await line.send(b"DATA\r\n")
    await line.reply()
    while True:
        await line.send(b"x")
        await asyncio.sleep(pause)


async def silent(line: Line) -> None:
    """Send nothing."""
    await line.until_closed()


async def half_open(line: Line) -> None:
    """Close the sending side in a transaction and stop reading."""
    await line.open_transaction()
    line.writer.write_eof()
    await asyncio.sleep(5)


async def flood(line: Line) -> None:
    """Connect and disconnect."""
    await line.reply()


async def tiny_chunks(line: Line) -> None:
    """Send a million chunks of one octet."""
    await line.open_transaction()
    for _ in range(_MILLION // 1000):
        await line.send(b"BDAT 1\r\nx" * 1000)
        await line.reader.read(65536)


async def endless_line(line: Line) -> None:
    """Send a command that never ends."""
    await line.reply()
    for _ in range(100):
        await line.send(b"X" * _MEGABYTE)


async def endless_content(line: Line) -> None:
    """Send a message that never ends, in one line."""
    await line.open_transaction()
    await line.send(b"DATA\r\n")
    await line.reply()
    for _ in range(400):
        await line.send(b"X" * _MEGABYTE)


async def endless_headers(line: Line) -> None:
    """Send a header block that never ends."""
    await line.open_transaction()
    await line.send(b"DATA\r\n")
    await line.reply()
    for _ in range(1000):
        await line.send(b"X-Bomb: yes\r\n" * 10_000)


async def many_recipients(line: Line) -> None:
    """Send a million recipients."""
    await line.open_transaction()
    for _ in range(_MILLION // 1000):
        await line.send(b"RCPT TO:<user@example.com>\r\n" * 1000)
        await line.reader.read(65536)


async def junk(line: Line) -> None:
    """Keep a connection busy with commands that do nothing."""
    await line.reply()
    for command in itertools.cycle((b"NOOP\r\n", b"RSET\r\n", b"VRFY x\r\n", b"HELO x\r\n")):
        await line.send(command)
        await line.reply()


async def never_reading(line: Line) -> None:
    """Send commands and never read a reply."""
    await line.greet()
    line.writer.transport.pause_reading()  # type: ignore[attr-defined]
    while True:
        await line.send(b"MAIL FROM:<a@bad.example>\r\nRSET\r\n" * 100)


async def browser(line: Line) -> None:
    """Speak HTTP."""
    await line.send(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO bad.example\r\nMAIL FROM:<a@b>\r\n")
    await line.until_closed()


async def broken_tls(line: Line) -> None:
    """Request TLS and send invalid data."""
    await line.greet()
    await line.send(b"STARTTLS\r\n")
    await line.reply()
    await line.send(b"\x16\x03\x01\xff\xff" + b"\0" * 1000)
    await line.until_closed()


async def slow_handshake(line: Line) -> None:
    """Request TLS and start a handshake that never ends."""
    await line.greet()
    await line.send(b"STARTTLS\r\n")
    await line.reply()
    while True:
        await line.send(b"\x16")
        await asyncio.sleep(1)


async def trap(line: Line) -> None:
    """Send spam to a trap and to a user."""
    await line.open_transaction()
    await line.send(b"RCPT TO:<trap@example.com>\r\nDATA\r\n")
    await line.reply()
    await line.reply()


async def smuggler(line: Line) -> None:
    """Hide a second message behind an invalid end of data."""
    await line.open_transaction()
    await line.send(b"DATA\r\n")
    await line.reply()
    await line.send(b"x\r\n\n.\r\n" + _ENVELOPE + b"DATA\r\nSmuggled: yes\r\n\r\nx\r\n.\r\n")
    await line.until_closed()


class Attack(NamedTuple):
    """A kind of attack, and the number of concurrent connections."""

    act: Callable[[Line], Awaitable[None]]
    lines: int


ATTACKS = (
    Attack(slow_command, 30),
    Attack(slow_content, 30),
    Attack(silent, 50),
    Attack(half_open, 10),
    Attack(flood, 10),
    Attack(tiny_chunks, 2),
    Attack(endless_line, 2),
    Attack(endless_content, 2),
    Attack(endless_headers, 2),
    Attack(many_recipients, 2),
    Attack(junk, 5),
    Attack(never_reading, 5),
    Attack(browser, 2),
    Attack(broken_tls, 3),
    Attack(slow_handshake, 10),
    Attack(trap, 5),
    Attack(smuggler, 2),
)


def attack(port: int, until: float, share: float = 1.0) -> Counter[str]:
    """Attack until `until` (time.time()); return the number of rounds of each kind.

    `share` reduces the number of connections of each kind, to at least one.
    """
    return asyncio.run(_attack(port, until, share))


async def _attack(port: int, until: float, share: float) -> Counter[str]:
    rounds: Counter[str] = Counter()
    tasks = [
        asyncio.create_task(_repeat(port, one.act, f"127.{66 + kind}.{line}", rounds))
        for kind, one in enumerate(ATTACKS)
        for line in range(max(1, int(one.lines * share)))
    ]
    await asyncio.sleep(max(0.0, until - time.time()))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return rounds


async def _repeat(
    port: int, act: Callable[[Line], Awaitable[None]], network: str, rounds: Counter[str]
) -> None:
    """Attack from the addresses of a network in turn, with a short pause between rounds."""
    for host in itertools.cycle(range(1, 255)):
        with contextlib.suppress(OSError, asyncio.LimitOverrunError, ValueError):
            source = (f"{network}.{host}", 0)
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=source)
            try:
                await act(Line(reader, writer))
            finally:
                writer.transport.abort()
                rounds[act.__name__] += 1
        await asyncio.sleep(0.05)
