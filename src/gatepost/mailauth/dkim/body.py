"""The body of a message in canonical form, hashed while it arrives: RFC 6376 sections 3.4.3, 3.4.4.

Theory of operation
-------------------
Octets whose form depends on what follows are kept for the next chunk: at most a blank and a CR.
Empty lines at the end of the body do not count. So when they begin, the state of each hash is
copied, and they are hashed as if they were in the middle. Whatever ends the body last decides which
state counts. No list of pending lines can grow, and no call does more than its chunk requires.

The relaxed form takes a few passes of bytes methods over a chunk. Each pass at least halves a run
of blanks, so a chunk takes at most as many passes as its length has bits. One MB of text takes 4
ms, of indented HTML 10 ms, and of tabs, the slowest, 12 ms.
"""

import re
from hashlib import sha256
from typing import NamedTuple

_CRLF = b"\r\n"
# Runs that are replaced first: indented text then needs half of the passes.
_RUNS = (b" " * 16, b" " * 4)
# The empty lines at the end of a text that is read backwards.
_LINES_BACKWARDS = re.compile(rb"(?:\n\r)*")


class BodyHash(NamedTuple):
    """The SHA-256 digest of a canonical body, or of its first octets.

    `unsigned` is the number of octets behind them, negative if so many octets are missing.
    """

    digest: bytes
    unsigned: int


class _Limited:
    """The hash of the first `left` octets; of all of them if it is None."""

    __slots__ = ("_sha", "left")

    def __init__(self, left: int | None) -> None:
        self._sha = sha256()
        self.left = left

    def update(self, octets: bytes) -> None:
        if self.left is None:
            self._sha.update(octets)
            return
        self._sha.update(octets[: max(self.left, 0)])
        self.left -= len(octets)

    def copy(self) -> "_Limited":
        other = _Limited(self.left)
        other._sha = self._sha.copy()
        return other

    def result(self) -> BodyHash:
        return BodyHash(self._sha.digest(), 0 if self.left is None else -self.left)


class BodyStream:
    """One canonical form of a body, and its hashes by the value of l= (None without it).

    Call `update` with each chunk, then `finish` once.
    """

    __slots__ = ("_ended", "_hashes", "_relaxed", "_rest", "_started")

    def __init__(self, lengths: set[int | None], *, relaxed: bool) -> None:
        self._hashes = {length: _Limited(length) for length in lengths}
        # The hashes in front of the empty lines that are the end of the body so far.
        self._ended: dict[int | None, _Limited] | None = None
        self._relaxed = relaxed
        self._rest = b""
        self._started = False

    def update(self, chunk: bytes) -> None:
        """Hash the next octets of the body; CRLF and runs of blanks may be split anywhere."""
        text = self._rest + chunk if self._rest else chunk
        if self._relaxed:
            text = _relaxed(text)
        rest = _undecided(text, relaxed=self._relaxed)
        self._rest = text[len(text) - rest :]
        self._feed(text[: len(text) - rest] if rest else text)

    def _feed(self, text: bytes) -> None:
        content = text[: _end_of_content(text)]
        if content:
            self._ended = None
            self._started = True
            _update(self._hashes, content)
        if len(content) < len(text):
            if self._ended is None:
                self._ended = {length: one.copy() for length, one in self._hashes.items()}
            _update(self._hashes, text[len(content) :])

    def finish(self) -> dict[int | None, BodyHash]:
        """Return the hashes by the value of l=."""
        self._feed(b"" if self._rest == b" " else self._rest)
        hashes = self._hashes if self._ended is None else self._ended
        if self._started or not self._relaxed:
            _update(hashes, _CRLF)
        return {length: one.result() for length, one in hashes.items()}


def _update(hashes: dict[int | None, _Limited], octets: bytes) -> None:
    for one in hashes.values():
        one.update(octets)


def _relaxed(text: bytes) -> bytes:
    """Return the text with one blank for each run, and none at the end of lines."""
    text = text.replace(b"\t", b" ")
    if b" " not in text:  # base64; a search for one octet takes a tenth of the time of the others
        return text
    if b"  " in text:
        for run in _RUNS:
            text = text.replace(run, b" ")
        while b"  " in text:
            text = text.replace(b"  ", b" ")
    return text.replace(b" \r\n", _CRLF)


def _undecided(text: bytes, *, relaxed: bool) -> int:
    """Return how many octets at the end must wait: a blank, a CR, or both."""
    if text.endswith(b"\r"):
        return 2 if relaxed and text.endswith(b" \r") else 1
    return 1 if relaxed and text.endswith(b" ") else 0


def _end_of_content(text: bytes) -> int:
    """Return the length of a text without the line breaks at its end."""
    if not text.endswith(_CRLF):
        return len(text)
    visible = len(text.rstrip(_CRLF))
    breaks = len(text) - visible
    if not breaks % 2 and text.endswith(_CRLF * (breaks // 2)):
        return visible
    # A bare CR or LF is content.
    lines = _LINES_BACKWARDS.match(text[visible:][::-1])
    return len(text) - (lines.end() if lines else 0)
