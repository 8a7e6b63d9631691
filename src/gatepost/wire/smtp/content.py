"""Reading a message: one small object for each way its bytes can come.

Each reader's `ingest(buffer, at)` looks at `buffer[at:]` and returns an event or None (more bytes
are needed) and the new position. None of them holds more than a few bytes.

Security: only CR LF . CR LF ends DATA (RFC 5321 section 4.1.1.4), and a message with a bare CR, a
bare LF or a NUL is refused as a whole: servers that disagree about line ends can be made to see two
messages where one was sent (SMTP smuggling). Once a message cannot be taken, its bytes are dropped
as they come, up to SWALLOW_FACTOR times the size limit; then the connection is closed.
"""

from gatepost.model.reply import Reply
from gatepost.wire.events import ChunkEnd, Content, EndOfMessage, Event, MessageFault
from gatepost.wire.smtp import replies as r
from gatepost.wire.smtp.auth import ResponseReader

# A sender that ignores SIZE deserves an answer, but not an endless stream to nowhere.
SWALLOW_FACTOR = 4

_TERMINATOR = b"\r\n.\r\n"
# Ends of a buffer that may be the beginning of the terminator, longest first.
_PARTIAL = (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r")
_DOT = ord(".")
_END_OF_MESSAGE = EndOfMessage()
_CHUNK_END = ChunkEnd()


def is_pure(data: bytes) -> bool:
    """Whether every CR is followed by LF, every LF preceded by CR, and there is no NUL.

    `splitlines` breaks once for each CRLF, bare CR and bare LF; so if there are as many breaks as
    CRs there is no bare LF, and if as many as LFs no bare CR. Faster than a regular expression.
    """
    if b"\0" in data:
        return False
    unfinished = data[-1:] not in (b"\n", b"\r", b"")
    breaks = len(data.splitlines()) - unfinished
    return data.count(b"\r") == breaks == data.count(b"\n")


class Intake:
    """What has been received of one message, and whether it can still be taken."""

    __slots__ = ("fault", "limit", "size")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self.fault: Reply | None = None

    def admit(self, data: bytes, size: int) -> Event | None:
        """Count `size` octets of content that came as `data`; return what the client did, if known.

        The answer must not depend on how the bytes were cut, so impurity outranks size.
        """
        self.size += size
        if self.size > self.limit:
            if self.size > self.limit * SWALLOW_FACTOR:
                return MessageFault(r.TOO_BIG_CLOSING)
            self.fault = self.fault or r.TOO_BIG
        if self.fault is not r.IMPURE and not is_pure(data):
            self.fault = r.IMPURE
        return None

    def end(self) -> Event:
        """Return the event that ends the message."""
        return _END_OF_MESSAGE if self.fault is None else MessageFault(self.fault)


class DotReader:
    """The content after DATA: transparency undone, ended by CRLF.CRLF (RFC 5321 section 4.5.2)."""

    __slots__ = ("_intake", "_line_start")

    def __init__(self, limit: int) -> None:
        self._intake = Intake(limit)
        self._line_start = True

    def ingest(self, buffer: bytes, at: int) -> tuple[Event | None, int]:
        """Return the next event and position."""
        if at == len(buffer):
            return None, at
        if self._line_start:
            if buffer[at] == _DOT:
                if buffer.startswith(b".\r\n", at):
                    return self._intake.end(), at + 3
                if len(buffer) - at < 3 and b".\r".startswith(buffer[at:]):
                    return None, at
                at += 1
            self._line_start = False
        return self._text(buffer, at)

    def _text(self, buffer: bytes, at: int) -> tuple[Event | None, int]:
        dot = buffer.find(b"\r\n.", at)
        end = buffer.find(_TERMINATOR, dot) if dot >= 0 else -1
        self._line_start = end >= 0
        stop = end + 2 if end >= 0 else len(buffer) - _held_back(buffer, at)
        if stop == at:
            return None, at
        data = buffer[at:stop]
        content = data.replace(b"\r\n.", b"\r\n") if dot >= 0 and dot != end else data
        event = self._intake.admit(data, len(content))
        if event is None and self._intake.fault is None:
            event = Content(content)
        if event is None and end >= 0:
            return self.ingest(buffer, stop)
        return event, stop


def _held_back(buffer: bytes, at: int) -> int:
    """Return how many bytes at the end may be the beginning of the terminator."""
    for partial in _PARTIAL:
        if buffer.endswith(partial, at):
            return len(partial)
    return 0


class ChunkReader:
    """The content after BDAT: octets by count, over all chunks of one message (RFC 3030).

    A chunk may end between CR and LF, so a CR at its end is held until the next octet is known.
    """

    __slots__ = ("_carry", "_intake", "_last", "_left")

    def __init__(self, limit: int) -> None:
        self._intake = Intake(limit)
        self._carry = b""
        self._left = 0
        self._last = False

    def fits(self, size: int) -> bool:
        """Whether a further chunk of `size` octets keeps the message within the limit."""
        return self._intake.size + len(self._carry) + size <= self._intake.limit

    def begin(self, size: int, *, last: bool) -> None:
        """Expect a chunk."""
        self._left = size
        self._last = last

    def ingest(self, buffer: bytes, at: int) -> tuple[Event | None, int]:
        """Return the next event and position."""
        if self._left:
            stop = min(len(buffer), at + self._left)
            self._left -= stop - at
            event = self._take(self._carry + buffer[at:stop])
            if event is not None:
                return event, stop
            at = stop
        return (self._end() if not self._left else None), at

    def _take(self, data: bytes) -> Event | None:
        self._carry = b"\r" if data.endswith(b"\r") else b""
        if self._carry:
            data = data[:-1]
        if not data:
            return None
        event = self._intake.admit(data, len(data))
        return Content(data) if event is None and self._intake.fault is None else event

    def _end(self) -> Event:
        if self._last and self._carry:
            self._intake.admit(self._carry, len(self._carry))
        if self._last or self._intake.fault is not None:
            return self._intake.end()
        return _CHUNK_END


class Swallow:
    """A chunk nobody wants: so many octets are dropped, then `event` is due."""

    __slots__ = ("_event", "_left")

    def __init__(self, size: int, event: Event) -> None:
        self._left = size
        self._event = event

    def ingest(self, buffer: bytes, at: int) -> tuple[Event | None, int]:
        """Return the event once everything has been dropped."""
        stop = min(len(buffer), at + self._left)
        self._left -= stop - at
        return (None if self._left else self._event), stop


Reader = DotReader | ChunkReader | Swallow | ResponseReader
