"""The parts of a form with files (multipart/form-data, RFC 7578), as browsers send it.

The body is in memory as a whole, and nothing is written to disk.

Trusts nothing: a body that breaks the format, a field that is no UTF-8 and too many parts raise
`MultipartError`. Limits: MOST_PARTS; `guard` limits the octets.
"""

import re
from typing import NamedTuple

MOST_PARTS = 300
# RFC 2046 s5.1.1.
_BOUNDARY = re.compile(r"""boundary=(?:"([\w'()+,./:=? -]{1,70})"|([\w'+.-]{1,70}))(?:\s*;|\s*$)""")
# Browsers write a quotation mark in a name as %22.
_NAME = re.compile(
    rb'content-disposition: *form-data; *name="([^"\r\n]*)"(; *filename="[^\r\n]*)?', re.IGNORECASE
)
_LINE, _HEADER_END, _END = b"\r\n", b"\r\n\r\n", b"--"


class MultipartError(ValueError):
    """A body that is no such form."""


class Part(NamedTuple):
    """A field, or a file."""

    name: str
    content: bytes
    is_file: bool

    @property
    def text(self) -> str:
        """The text of a field; raises `MultipartError`."""
        return _decoded(self.content)


def parse_multipart(content_type: str, body: bytes) -> list[Part]:
    """Return the parts in the body of a request; raises `MultipartError`."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise MultipartError("expected a boundary")
    delimiter = b"\r\n--" + (boundary[1] or boundary[2]).encode("latin-1")
    before, *pieces = (_LINE + body).split(delimiter, MOST_PARTS + 1)
    if before or not pieces or not pieces[-1].startswith(_END):
        raise MultipartError(f"expected at most {MOST_PARTS} parts, and a delimiter after the last")
    return [_part(piece) for piece in pieces[:-1]]


def _part(piece: bytes) -> Part:
    """Return the part of the octets between two delimiters."""
    header, end, content = piece.partition(_HEADER_END)
    found = [match for line in header.split(_LINE) if (match := _NAME.match(line))]
    if not piece.startswith(_LINE) or not end or len(found) != 1:
        raise MultipartError('expected a field such as: Content-Disposition: form-data; name="x"')
    return Part(_decoded(found[0][1]), content, found[0][2] is not None)


def _decoded(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise MultipartError("expected UTF-8") from None
