"""Dialogues with a server in memory, written as transcripts."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from gatepost.net.resolver import Resolver
from gatepost.plugin.base import Installed, Plugin
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.server.capture import ReceivedMessage
from gatepost.server.memory import (
    DEFAULT_CONFIG,
    DEFAULT_PEER,
    ConfigOrTables,
    MemoryClient,
    MemoryServer,
)
from gatepost.testing.resolver import FakeResolver

_LINE = re.compile(r"([CS]): ?(.*)")
_REFERENCE = r"(?: \[[0-9a-f]+-[0-9a-f]+(?:\.[0-9]+)?\])?"
_ONLY_CODE = re.compile(r"[2-5]\d\d")


class _NumberedLine(NamedTuple):
    """A line of a transcript and its number."""

    number: int
    text: str


class DialogueError(AssertionError):
    """A reply differs from the transcript, or the transcript is malformed.

    The message has the line and the last command.
    """


class DialogueResult(msgspec.Struct, frozen=True):
    """The replies as text, the messages accepted, the waits in seconds, the messages of plugins."""

    replies: list[str]
    messages: list[ReceivedMessage]
    slept: list[float]
    submitted: list[ReceivedMessage]


def play(
    transcript: str,
    plugins: Sequence[Plugin | Installed] = (),
    *,
    traps: Sequence[str] = (),
    config: ConfigOrTables = DEFAULT_CONFIG,
    now: str | datetime = "2024-01-01",
    peer: tuple[str, int] = DEFAULT_PEER,
    protocol: str = "smtp",
    resolver: Resolver | None = None,
) -> DialogueResult:
    """Play a transcript; raises `DialogueError` at the first reply that differs.

    `traps` are lines of a trap list, `now` is the time at the start, `peer` the client's address,
    `protocol` "smtp" or "lmtp". `config` is a `Config`, or a dict with the tables of a
    configuration file. By default example.com is local and nothing else is configured. `resolver`
    answers DNS lookups; by default no name exists.
    """

    async def run() -> DialogueResult:
        clock = VirtualClock(now)
        async with MemoryServer(
            plugins, traps=traps, config=config, clock=clock, resolver=resolver or FakeResolver()
        ) as server:
            client = server.connect(peer, protocol)
            try:
                await perform(client, transcript)
            finally:
                await client.close()
            return DialogueResult(client.replies, server.messages, clock.slept, server.submitted)

    return asyncio.run(run())


async def perform(client: MemoryClient, transcript: str) -> None:
    """Play a transcript with a connected client; raises `DialogueError`."""
    last = ""
    for speaker, lines in _turns(transcript):
        if speaker == "C":
            last = f" after line {lines[-1].number}, C: {lines[-1].text}"
            client.send("".join(f"{one.text}\r\n" for one in lines).encode())
        else:
            await _compare(client, lines, last)


async def _compare(client: MemoryClient, lines: Sequence[_NumberedLine], last: str) -> None:
    """Compare the next replies with lines of a transcript; `last` is the last command."""
    found: list[str] = []
    for number, expected in lines:
        found = found or (await client.reply()).split("\n")
        if _ONLY_CODE.fullmatch(expected) and found[0].startswith(expected):
            found = []
        elif not _matches(expected, found[0]):
            raise DialogueError(f"line {number}: expected {expected!r}, found {found[0]!r}{last}")
        else:
            found = found[1:]


def _matches(pattern: str, line: str) -> bool:
    """Compare a line; a transcript may leave out the reference, which no test can predict."""
    parts = map(re.escape, pattern.split("*"))
    return re.fullmatch(".*".join(parts) + _REFERENCE, line) is not None


def _turns(transcript: str) -> Iterator[tuple[str, list[_NumberedLine]]]:
    """Yield "C" or "S" and the lines; consecutive lines of one side are one turn."""
    turn: tuple[str, list[_NumberedLine]] | None = None
    for number, raw in enumerate(transcript.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise DialogueError(f"line {number}: expected 'C: ' or 'S: ', found {line!r}")
        if turn is not None and turn[0] == match[1]:
            turn[1].append(_NumberedLine(number, match[2]))
            continue
        if turn is not None:
            yield turn
        turn = match[1], [_NumberedLine(number, match[2])]
    if turn is not None:
        yield turn
