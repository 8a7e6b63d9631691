"""Refuse messages with viruses: ask ClamAV's clamd.

The content goes to clamd as it was received, over a Unix socket or TCP, when the message is
complete. clamd stores it and begins to scan behind its last octet, so sending it earlier would save
1.5 ms for each MB, while slow clients would occupy connections of clamd and run into its time-outs.
Each scan has a connection of its own: on a Unix socket that takes 15 microseconds.

Trusts: clamd is the one at `server`. Limits: those of all scanners, and the `StreamMaxLength` of
clamd: a message that is too large for it is one that is too large here.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from gatepost import Decision, MessageTransaction, Reaction
from gatepost.plugins._exchange import ServiceAddress, addresses, exchange
from gatepost.plugins._scanner import Scanner, ScannerError, ScannerOptions, content_of
from gatepost.plugins._servers import Servers

# Commands that begin with z, and their answers, end in a NUL.
_COMMAND, _END = b"zINSTREAM\0", b"\0"
_LAST_CHUNK = bytes(4)
_ANSWER = re.compile(r"(?:stream: )?(?P<text>.*?) ?(?P<word>OK|FOUND|ERROR)", re.DOTALL)
_TOO_LARGE = "size limit exceeded"
_NAME = re.compile(r"[^ -~]")


class Answer(NamedTuple):
    """The answer of clamd: a signature, "" without a virus; or that the message is too large."""

    signature: str = ""
    is_too_large: bool = False


class Clamav(Scanner[Answer]):
    """Adds the result `clamav`: "clean", "infected", "skipped" or "temperror"."""

    result = "clamav"

    keeps_decisions = True

    class Options(ScannerOptions):
        """The address of clamd, and the reactions."""

        server: str | tuple[str, ...] = "unix:/run/clamav/clamd.ctl"
        """The address of clamd: "unix:PATH" (its `LocalSocket`) or "HOST:PORT". Of several in an
        array, the next one is asked if one does not accept connections."""
        infected: Reaction = Reaction("deny")
        """The reaction to a message with a virus."""
        text: str = "Message contains a virus: {signature}"
        """The reply, with `{signature}`."""

        def __post_init__(self) -> None:
            super().__post_init__()
            addresses(self.server)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._servers = Servers(addresses(self.options.server))

    async def scan(self, tx: MessageTransaction) -> Answer:
        """Send the content to clamd, and read its answer."""
        return parse_answer(await self._servers.ask(partial(_scan, tx)))

    def probes(self) -> Mapping[str, Callable[[], Awaitable[str]]]:
        """Ask each clamd for its version."""
        return {one: partial(_version, one) for one in addresses(self.options.server)}

    def conclude(self, tx: MessageTransaction, found: Answer) -> Decision | None:
        """Decide about a virus."""
        if found.is_too_large:
            return self.skip(tx)
        if not found.signature:
            self.add(tx, "clean")
            return None
        reaction = self.options.infected
        self.add(tx, "infected", signature=found.signature, score=reaction.score)
        text = self.options.text.replace("{signature}", found.signature)
        return reaction.decide(text, enhanced="5.7.1", reason="virus")


async def _version(server: ServiceAddress) -> str:
    answer = await exchange(server, [b"zVERSION\0"], end=_END)
    return answer.removesuffix(_END).decode("ascii", "replace")


async def _scan(tx: MessageTransaction, server: ServiceAddress) -> bytes:
    return await exchange(server, framed(content_of(tx)), end=_END)


def framed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the command and a content in chunks, each behind its length; an empty one is the end.

    No piece may be empty.
    """
    yield _COMMAND
    for piece in pieces:
        yield len(piece).to_bytes(4, "big")
        yield piece
    yield _LAST_CHUNK


def parse_answer(octets: bytes) -> Answer:
    """Return what an answer means; raises `ScannerError` for an error and for anything else."""
    text = octets.removesuffix(_END).decode("ascii", "replace").strip()
    match = _ANSWER.fullmatch(text)
    if match is None or not octets.endswith(_END):
        raise ScannerError(f"expected an answer of clamd, found {text[:80]!r}")
    found = match["text"]
    if match["word"] == "ERROR":
        if _TOO_LARGE in found.lower():
            return Answer(is_too_large=True)
        raise ScannerError(found[:80] or "error")
    if match["word"] == "FOUND":
        return Answer(_NAME.sub("?", found)[:200] or "unnamed")
    if found:
        raise ScannerError(f"expected an answer of clamd, found {text[:80]!r}")
    return Answer()
