"""Writing content, as a client: one small object for each way it can go.

`write(data)` takes the content in pieces, cut anywhere, and returns what to put on the wire;
`end()` returns what ends it.

Security: content with a bare CR, a bare LF or a NUL is not sent: the next hop might see an end of
data in it that is none, and a second message behind that. Such content cannot get here, but this is
the place that would let it out. `ImpureError` is raised before the piece that shows it is sent; the
connection must be closed then, so that what was sent is not taken for a message.
"""

from gatepost.wire.smtp.content import is_pure


class ImpureError(Exception):
    """The content has a bare CR, a bare LF or a NUL: it must not be sent on."""


class _Pure:
    """Lets pure content through; a CR at the end is held back until the next octet is known."""

    __slots__ = ("_carry",)

    def __init__(self) -> None:
        self._carry = b""

    def take(self, data: bytes) -> bytes:
        if self._carry:
            data = self._carry + data
        self._carry = b"\r" if data.endswith(b"\r") else b""
        if self._carry:
            data = data[:-1]
        if not is_pure(data):
            raise ImpureError("a bare CR, bare LF or NUL")
        return data

    def end(self) -> None:
        if self._carry:
            raise ImpureError("a bare CR at the end")


class DotWriter:
    """The content after DATA, made transparent (RFC 5321 section 4.5.2).

    Content whose last line has no CRLF, as BDAT may bring it, is given one.
    """

    __slots__ = ("_line_start", "_pure")

    def __init__(self) -> None:
        self._pure = _Pure()
        self._line_start = True

    def write(self, data: bytes) -> bytes:
        """Return the content with its dots doubled; raises `ImpureError`."""
        data = self._pure.take(data)
        if not data:
            return b""
        stuffed = data.replace(b"\r\n.", b"\r\n..")
        if self._line_start and data.startswith(b"."):
            stuffed = b"." + stuffed
        self._line_start = data.endswith(b"\r\n")
        return stuffed

    def end(self) -> bytes:
        """Return the end of data; raises `ImpureError`."""
        self._pure.end()
        return b".\r\n" if self._line_start else b"\r\n.\r\n"


class ChunkWriter:
    """The content after BDAT: `size` octets, as they are (RFC 3030 section 2)."""

    __slots__ = ("_left", "_pure")

    def __init__(self, size: int) -> None:
        self._pure = _Pure()
        self._left = size

    @property
    def done(self) -> bool:
        """Whether the chunk is complete."""
        return self._left == 0

    def write(self, data: bytes) -> bytes:
        """Return the content; raises `ImpureError`, and ValueError where there is more of it."""
        data = self._pure.take(data)
        if len(data) > self._left:
            raise ValueError("expected no more content than announced")
        self._left -= len(data)
        return data

    def end(self) -> bytes:
        """Return nothing; raises `ImpureError`, and ValueError where content is missing."""
        self._pure.end()
        if self._left:
            raise ValueError(f"expected {self._left} octets more")
        return b""
