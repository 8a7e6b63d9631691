"""The replies of the next hop: bytes in, `Reply` out (RFC 5321 section 4.2).

Replies are shown to our own clients and written to logs, so they are parsed as strictly as
commands. A reply is lines that end with CRLF or LF, all with one code of 2yz to 5yz, and all but
the last with a hyphen behind the code. Anything else raises `PeerError`. The reader is useless
after that, because the boundaries of replies are lost.

A line may end with LF only, because some servers send that. A bare LF cannot hide a reply: every LF
ends a line, and a reply without a command ends the connection.

An enhanced status code (RFC 2034) is removed from the text if its class matches the code.
Characters other than printable US-ASCII become `?`.

Security: nothing in a reply is trusted. The result does not depend on how the bytes are cut.
Limits: MAX_LINE octets in a line, four times what RFC 5321 section 4.5.3.1.5 allows, because some
servers send long explanations; MAX_LINES lines in a reply, the maximum of `Reply`.
"""

import re
from functools import lru_cache

from gatepost.model.reply import MAX_LINES, Reply

MAX_LINE = 2048

_LINE = re.compile(r"([2-5][0-9]{2})(?:([ -])(.*))?")
_UNPRINTABLE = re.compile(r"[^ -~]")
_ENHANCED = re.compile(r"([245])(?:\.[0-9]{1,3}){2}(?= |$)")


class PeerError(Exception):
    """The next hop broke the protocol. The connection must be closed."""


class ReplyReader:
    """The replies of one connection. See the module for the rules."""

    __slots__ = ("_at", "_buffer", "_code", "_lines")

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0
        self._code = ""
        self._lines: list[str] = []

    @property
    def unread(self) -> int:
        """Return the size of the unread input, greater than 0 if a reply is incomplete."""
        return len(self._buffer) - self._at + len(self._lines)

    def receive_data(self, data: bytes) -> None:
        """Buffer bytes from the next hop."""
        self._buffer = self._buffer[self._at :] + data
        self._at = 0

    def next_reply(self) -> Reply | None:
        """Return the next complete reply, or None. Raises `PeerError`."""
        while (line := self._next_line()) is not None:
            if not self._lines:
                reply = _whole(line)
                if reply is not None:
                    return reply
            if self._add(line):
                return self._finish()
        return None

    def _next_line(self) -> bytes | None:
        end = self._buffer.find(b"\n", self._at, self._at + MAX_LINE)
        if end < 0:
            if len(self._buffer) - self._at >= MAX_LINE:
                raise PeerError(f"a reply line of more than {MAX_LINE} octets")
            return None
        line = self._buffer[self._at : end + 1]
        self._at = end + 1
        return line

    def _add(self, octets: bytes) -> bool:
        """Add a line; return whether it is the last of its reply."""
        line = _text(octets)
        match = _LINE.fullmatch(line)
        if match is None or match[1] != (self._code or match[1]):
            expected = self._code or "a reply code"
            raise PeerError(f"expected {expected} and text, found {line[:80]!r}")
        if len(self._lines) == MAX_LINES:
            raise PeerError(f"a reply of more than {MAX_LINES} lines")
        self._code = match[1]
        self._lines.append(match[3] or "")
        return match[2] != "-"

    def _finish(self) -> Reply:
        code, lines = int(self._code), self._lines
        self._code, self._lines = "", []
        return _reply(code, lines)


@lru_cache(maxsize=256)
def _whole(line: bytes) -> Reply | None:
    """Return the reply if the line is all of it, else None. Cached, because most replies repeat."""
    match = _LINE.fullmatch(_text(line))
    if match is None or match[2] == "-":
        return None
    return _reply(int(match[1]), [match[3] or ""])


def _text(line: bytes) -> str:
    return _UNPRINTABLE.sub("?", line[:-1].removesuffix(b"\r").decode("ascii", "replace"))


def _reply(code: int, lines: list[str]) -> Reply:
    found = (_ENHANCED.match(line) for line in lines)
    enhanced = next((one[0] for one in found if one and int(one[1]) == code // 100), None)
    if enhanced is not None:
        lines = [_without(enhanced, line) for line in lines]
    return Reply(code, "\n".join(lines), enhanced)


def _without(enhanced: str, line: str) -> str:
    match = _ENHANCED.match(line)
    return line[len(enhanced) + 1 :] if match and match[0] == enhanced else line
