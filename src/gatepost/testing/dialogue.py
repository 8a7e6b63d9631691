"""Dialogues with a server in memory, written as transcripts."""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from gatepost.config.units import UnitError, parse_duration
from gatepost.ledger.records import Record
from gatepost.model.reply import Reply
from gatepost.model.session import Session, Transaction
from gatepost.net.resolver import Resolver
from gatepost.plugin.base import Installed, Plugin
from gatepost.plugin.metrics import MetricsSnapshot
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.registry.memory import MemoryRegistry
from gatepost.server.capture import ReceivedMessage
from gatepost.server.memory import (
    DEFAULT_CONFIG,
    DEFAULT_PEER,
    ConfigOrTables,
    MemoryClient,
    MemoryServer,
)
from gatepost.session.log import LogRecorder
from gatepost.session.recorder import Decided, Recorder, forward_others
from gatepost.tables.table import Table
from gatepost.testing.resolver import FakeResolver
from gatepost.testing.store import MemoryStore

_LINE = re.compile(r"([CSTB]): ?(.*)")
_REFERENCE = r"(?: \[[0-9a-f]+-[0-9a-f]+(?:\.[0-9]+)?\])?"
_ONLY_CODE = re.compile(r"[2-5]\d\d")
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)?", re.DOTALL)
_ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}
# The plugin that takes the messages.
_CAPTURE = "capture"


class _NumberedLine(NamedTuple):
    """A line of a transcript, its number, and what it is: "C", "B", "S" or "T"."""

    number: int
    text: str
    kind: str = "S"

    @property
    def octets(self) -> bytes:
        """The octets that the client sends for this line."""
        if self.kind == "C":
            return f"{self.text}\r\n".encode()
        return _ESCAPE.sub(self._escaped, self.text.encode())

    def _escaped(self, match: re.Match[bytes]) -> bytes:
        escape: bytes = match[1] or b""
        if len(escape) == 3:
            return bytes([int(escape[1:], 16)])
        if escape not in _ESCAPES:
            found = match[0].decode(errors="replace")
            raise DialogueError(f"line {self.number}: {found!r} is not an escape of octets")
        return _ESCAPES[escape]


class DialogueError(AssertionError):
    """A reply differs from the transcript, or the transcript is malformed.

    The message has the line and the last command.
    """


class PlayedDecision(msgspec.Struct, frozen=True):
    """A decision: its hook, the plugin (`gatepost` for the core), the verdict and the reason.

    `verdict` is "accept", "deny" or "defer".
    """

    hook: str
    plugin: str
    verdict: str
    reason: str


class DialogueResult(msgspec.Struct, frozen=True):
    """The replies as text, the messages accepted, and the waits in seconds.

    `metrics` are those of the plugins, `decisions` all decisions in their order, `submitted` the
    messages of plugins.
    """

    replies: list[str]
    messages: list[ReceivedMessage]
    slept: list[float]
    submitted: list[ReceivedMessage] = []
    metrics: MetricsSnapshot = MetricsSnapshot()
    decisions: list[PlayedDecision] = []


class _Decisions(Recorder):
    """Passes every fact to the log, and keeps the decisions of a dialogue."""

    def __init__(self, clock: VirtualClock) -> None:
        self._log = LogRecorder(clock.time)
        self.made: list[PlayedDecision] = []
        forward_others(self, self._log)

    @property
    def sinks(self) -> Sequence[Callable[[Record], None]]:
        """The log writes the line of a transaction from its record."""
        return self._log.sinks

    def decided(
        self, session: Session, tx: Transaction | None, decided: Decided, reply: Reply
    ) -> None:
        """Log a decision, and keep it."""
        self._log.decided(session, tx, decided, reply)
        answer = decided.answer
        if answer is not None and answer.by != _CAPTURE:
            verdict = answer.decision.verdict.value
            made = PlayedDecision(decided.hook, answer.by, verdict, answer.decision.reason)
            self.made.append(made)


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
    store: MemoryStore | None = None,
    registry: MemoryRegistry | None = None,
    tables: Mapping[str, Table] | None = None,
) -> DialogueResult:
    """Play a transcript; raises `DialogueError` at the first reply that differs.

    `traps` are lines of a trap list, `now` is the time at the start, `peer` the client's address,
    `protocol` "smtp" or "lmtp". `config` is a `Config`, or a dict with the tables of a
    configuration file. By default example.com is local and nothing else is configured. `resolver`
    answers DNS lookups; by default no name exists. `store` is for plugins, by default an empty one,
    and `registry` has the registered traps, by default none. `tables` are tables by specification,
    such as `{"sql:users": MemoryTable({"kim@example.com": ""})}`.
    """
    __tracebackhide__ = True
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        work = play_async(
            transcript,
            plugins,
            traps=traps,
            config=config,
            now=now,
            peer=peer,
            protocol=protocol,
            resolver=resolver,
            store=store,
            registry=registry,
            tables=tables,
        )
        try:
            return asyncio.run(work)
        except DialogueError as error:
            raise error.with_traceback(None) from None
    raise RuntimeError("play() is called in an event loop: use await play_async()")


async def play_async(
    transcript: str,
    plugins: Sequence[Plugin | Installed] = (),
    *,
    traps: Sequence[str] = (),
    config: ConfigOrTables = DEFAULT_CONFIG,
    now: str | datetime = "2024-01-01",
    peer: tuple[str, int] = DEFAULT_PEER,
    protocol: str = "smtp",
    resolver: Resolver | None = None,
    store: MemoryStore | None = None,
    registry: MemoryRegistry | None = None,
    tables: Mapping[str, Table] | None = None,
) -> DialogueResult:
    """Do the same as `play` in an event loop, for tests that are coroutines."""
    __tracebackhide__ = True
    clock = VirtualClock(now)
    recorder = _Decisions(clock)
    if store is not None:
        store.clock = clock
    async with MemoryServer(
        plugins,
        traps=traps,
        config=config,
        clock=clock,
        recorder=recorder,
        resolver=resolver or FakeResolver(),
        store=store,
        registry=registry or MemoryRegistry(),
        tables=tables,
    ) as server:
        client = server.connect(peer, protocol)
        try:
            await perform(client, transcript)
        finally:
            await client.close()
        return DialogueResult(
            client.replies,
            server.messages,
            clock.slept,
            server.submitted,
            server.metrics,
            recorder.made,
        )


async def perform(client: MemoryClient, transcript: str) -> None:
    """Play a transcript with a connected client; raises `DialogueError`."""
    __tracebackhide__ = True
    last = ""
    for speaker, lines in _turns(transcript):
        if speaker == "C":
            last = f" after line {lines[-1].number}, {lines[-1].kind}: {lines[-1].text}"
            client.send(b"".join(one.octets for one in lines))
        elif speaker == "T":
            await client.advance(sum(map(_seconds, lines)))
        else:
            await _compare(client, lines, last)


def _seconds(line: _NumberedLine) -> float:
    try:
        return parse_duration(line.text)
    except UnitError as error:
        raise DialogueError(f"line {line.number}: {error}") from None


async def _compare(client: MemoryClient, lines: Sequence[_NumberedLine], last: str) -> None:
    """Compare the next replies with lines of a transcript; `last` is the last command."""
    __tracebackhide__ = True
    found: list[str] = []
    for number, expected, _ in lines:
        found = found or (await client.reply()).split("\n")
        if _ONLY_CODE.fullmatch(expected) and found[0].startswith(expected):
            found = []
        elif not _matches(expected, found[0]):
            shown = repr(found[0]) if found[0] else _absent(client)
            raise DialogueError(f"line {number}: expected {expected!r}, found {shown}{last}")
        else:
            found = found[1:]


def _absent(client: MemoryClient) -> str:
    return "a closed connection" if client.closed else "no reply"


def _matches(pattern: str, line: str) -> bool:
    """Compare a line; a transcript may leave out the reference, which no test can predict."""
    parts = map(re.escape, pattern.split("*"))
    return re.fullmatch(".*".join(parts) + _REFERENCE, line) is not None


def _turns(transcript: str) -> Iterator[tuple[str, list[_NumberedLine]]]:
    """Yield "C", "S" or "T" and the lines; consecutive lines of one side are one turn."""
    turn: tuple[str, list[_NumberedLine]] | None = None
    for number, raw in enumerate(transcript.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise DialogueError(f"line {number}: expected 'C: ' or 'S: ', found {line!r}")
        speaker = "C" if match[1] == "B" else match[1]
        if turn is not None and turn[0] == speaker:
            turn[1].append(_NumberedLine(number, match[2], match[1]))
            continue
        if turn is not None:
            yield turn
        turn = speaker, [_NumberedLine(number, match[2], match[1])]
    if turn is not None:
        yield turn
