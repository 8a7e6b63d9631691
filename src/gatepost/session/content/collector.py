"""Collect the header block of a message while its content arrives."""

from gatepost.model.headers import Headers

_END = b"\r\n\r\n"


class HeaderCollector:
    """Content up to the blank line that ends the header block, at most `limit` octets."""

    __slots__ = ("_limit", "_raw", "too_long")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._raw = bytearray()  # appending to bytes would copy all of it for each piece
        self.too_long = False

    def add(self, data: bytes) -> bool:
        """Add a piece of content; return whether the block is complete, or too long."""
        searched = max(0, len(self._raw) - len(_END))
        self._raw += data[: self._limit + len(_END)]
        end = 0 if self._raw.startswith(b"\r\n") else self._raw.find(_END, searched)
        if end >= 0:
            del self._raw[end:]
        self.too_long = len(self._raw) > self._limit
        return end >= 0 or self.too_long

    def parse(self) -> Headers:
        """Return the header block."""
        return Headers(bytes(self._raw))
