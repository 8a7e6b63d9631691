"""The input that was received and not yet interpreted.

Pieces stay as they were received. The next piece is taken only when the current one is used up or
ends in an incomplete line, so each octet is copied at most once more, plus one incomplete line per
piece. The cost is linear in the input.
"""

from collections import deque
from typing import Final

from gatepost.model.reply import Reply
from gatepost.wire.smtp import replies as r

_CR: Final = ord("\r")


class InputBuffer:
    """The input of one connection: `data[at:]`, then the pieces in `later`.

    `later` is None while it is empty, because an empty deque takes 600 octets.
    """

    __slots__ = ("_later_octets", "at", "data", "later")

    def __init__(self) -> None:
        self.data = b""
        self.at = 0
        self.later: deque[bytes] | None = None
        self._later_octets = 0

    @property
    def unread(self) -> int:
        """Return the number of octets that are not interpreted yet."""
        return len(self.data) - self.at + self._later_octets

    def append(self, data: bytes) -> None:
        """Append a piece."""
        if self.later is not None:
            self.later.append(data)
            self._later_octets += len(data)
        elif self.at == len(self.data):
            self.data = data
            self.at = 0
        elif data:
            self.later = deque((data,))
            self._later_octets = len(data)

    def clear(self) -> None:
        """Drop all input."""
        self.data = b""
        self.at = 0
        self.later = None
        self._later_octets = 0

    def release(self) -> None:
        """Drop the piece that is used up: an idle connection holds no buffer."""
        self.data = b""
        self.at = 0

    def advance(self) -> bool:
        """Add the next piece to the rest of the current one; return whether there was one."""
        later = self.later
        if later is None:
            return False
        piece = later.popleft()
        self._later_octets -= len(piece)
        if not later:
            self.later = None
        self.data = piece if self.at == len(self.data) else self.data[self.at :] + piece
        self.at = 0
        return True

    def next_line(self, limit: int) -> bytes | Reply | None:
        """Return the next line without its CRLF, or None if it is incomplete.

        Return a reply instead if the line has more than `limit` octets or does not end with CRLF.
        """
        while True:
            data, at = self.data, self.at
            end = data.find(b"\n", at)
            if (end if end >= 0 else len(data)) - at >= limit:
                return r.LINE_TOO_LONG
            if end > at and data[end - 1] == _CR:
                self.at = end + 1
                return data[at : end - 1]
            if end >= 0:
                return r.BAD_LINE_ENDING
            if not self.advance():
                return None
