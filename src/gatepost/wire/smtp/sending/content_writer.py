"""The content as a client sends it, after DATA or BDAT.

`write(data)` takes the content in pieces, cut anywhere, and returns the bytes to send; `end()`
returns the bytes that end it.

Security: content with a bare CR, a bare LF or a NUL is never sent. The next hop might find an end
of data in it, and a second message behind that. Content is checked when it is received; this is the
last check before it leaves. `ImpureError` is raised before the faulty piece is sent. The connection
must then be closed, so that the next hop does not accept the incomplete message.
"""

from gatepost.wire.smtp.content import is_pure


class ImpureError(Exception):
    """The content has a bare CR, a bare LF or a NUL and must not be sent."""


class _Pure:
    """Checks content. A CR at the end of a piece is held back until the next octet is known."""

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
    """The content after DATA, with dot-stuffing (RFC 5321 section 4.5.2).

    A missing CRLF at the end is added: content received with BDAT may lack it.
    """

    __slots__ = ("_line_start", "_pure")

    def __init__(self) -> None:
        self._pure = _Pure()
        self._line_start = True

    def write(self, data: bytes) -> bytes:
        """Return the content with dot-stuffing. Raises `ImpureError`."""
        data = self._pure.take(data)
        if not data:
            return b""
        stuffed = data
        if data.find(b".") >= 0:  # an attachment in base64 has none, and this is far faster
            stuffed = data.replace(b"\r\n.", b"\r\n..")
            if self._line_start and data.startswith(b"."):
                stuffed = b"." + stuffed
        self._line_start = data.endswith(b"\r\n")
        return stuffed

    def end(self) -> bytes:
        """Return the end of data. Raises `ImpureError`."""
        self._pure.end()
        return b".\r\n" if self._line_start else b"\r\n.\r\n"


class ChunkWriter:
    """The content after BDAT: `size` octets, unchanged (RFC 3030 section 2)."""

    __slots__ = ("_left", "_pure")

    def __init__(self, size: int) -> None:
        self._pure = _Pure()
        self._left = size

    @property
    def done(self) -> bool:
        """Return whether the chunk is complete."""
        return self._left == 0

    def write(self, data: bytes) -> bytes:
        """Return the content. Raises `ImpureError`, or ValueError if it exceeds the size."""
        data = self._pure.take(data)
        if len(data) > self._left:
            raise ValueError("expected no more content than announced")
        self._left -= len(data)
        return data

    def end(self) -> bytes:
        """Return no bytes. Raises `ImpureError`, or ValueError if content is missing."""
        self._pure.end()
        if self._left:
            raise ValueError(f"expected {self._left} octets more")
        return b""
