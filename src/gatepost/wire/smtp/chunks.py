"""The chunks of a message sent with BDAT (RFC 3030).

The chunk follows its command even if that is refused, so a refused chunk is read and discarded.
"""

from gatepost.model.reply import Reply
from gatepost.wire.events import Bdat, ChunkEnd, Content, Event, MessageFault
from gatepost.wire.smtp import replies as r
from gatepost.wire.smtp.content import DISCARD_FACTOR, Intake, with_crlf
from gatepost.wire.smtp.input_buffer import InputBuffer

_CHUNK_END = ChunkEnd()


class ChunkReader:
    """Reads content after BDAT: octets by count, over all chunks of one message.

    A chunk may end between CR and LF, so a CR at its end is held until the next octet arrives.
    With `bare_lf` a bare LF becomes CRLF.
    """

    __slots__ = ("_bare_lf", "_carry", "_intake", "_last", "_left")

    def __init__(self, limit: int, *, bare_lf: bool = False) -> None:
        self._bare_lf = bare_lf
        self._intake = Intake(limit)
        self._carry = b""
        self._left = 0
        self._last = False

    def fits(self, size: int) -> bool:
        """Return whether another chunk of `size` octets keeps the message within the limit."""
        return self._intake.size + len(self._carry) + size <= self._intake.limit

    def begin(self, size: int, *, last: bool) -> None:
        """Expect a chunk."""
        self._left = size
        self._last = last

    def read(self, source: InputBuffer) -> Event | None:
        """Return the next event."""
        if self._left:
            at = source.at
            stop = min(len(source.data), at + self._left)
            self._left -= stop - at
            source.at = stop
            event = self._take(self._carry + source.data[at:stop])
            if event is not None:
                return event
        return None if self._left else self._end()

    def _take(self, data: bytes) -> Event | None:
        self._carry = b"\r" if data.endswith(b"\r") else b""
        if self._carry:
            data = data[:-1]
        if not data:
            return None
        if self._bare_lf:
            data = with_crlf(data)
        event = self._intake.admit(data, len(data))
        return Content(data) if event is None and self._intake.fault is None else event

    def _end(self) -> Event:
        if self._last and self._carry:
            self._intake.admit(self._carry, len(self._carry))
        if self._last or self._intake.fault is not None:
            return self._intake.end()
        return _CHUNK_END


class Discard:
    """Discards a number of octets, then returns `event`."""

    __slots__ = ("_event", "_left")

    def __init__(self, size: int, event: Event) -> None:
        self._left = size
        self._event = event

    def read(self, source: InputBuffer) -> Event | None:
        """Return the event once all octets are discarded."""
        stop = min(len(source.data), source.at + self._left)
        self._left -= stop - source.at
        source.at = stop
        return None if self._left else self._event


class Chunks:
    """The chunks of one connection: those of the current message, and the discarded octets."""

    __slots__ = ("_discarded", "_limit", "_reader")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._reader = ChunkReader(limit)
        self._discarded = 0

    def check(self, chunk: Bdat, *, bare_lf: bool) -> Reply | None:
        """Return the reply to a chunk that is refused without asking the caller."""
        if chunk.first:
            self._reader = ChunkReader(self._limit, bare_lf=bare_lf)
            self._discarded = 0
        if chunk.size == 0 and not chunk.last:
            return r.BDAT_EMPTY
        return None if self._reader.fits(chunk.size) else r.TOO_BIG

    def accept(self, chunk: Bdat) -> ChunkReader:
        """Return the reader of an accepted chunk."""
        self._reader.begin(chunk.size, last=chunk.last)
        return self._reader

    def discard(self, chunk: Bdat, outcome: Event) -> Discard:
        """Return the reader of a refused chunk; the connection is closed if there are too many."""
        self._discarded += chunk.size
        if self._discarded <= self._limit * DISCARD_FACTOR:
            return Discard(chunk.size, outcome)
        return Discard(0, MessageFault(r.TOO_BIG_CLOSING))
