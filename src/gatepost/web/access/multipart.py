"""The parts of a form with files (multipart/form-data, RFC 7578), as browsers send it.

The package python-multipart reads the format. The body is in memory as a whole, and nothing is
written to disk.

Trusts nothing: a body that breaks the format, a field that is no UTF-8 and too many parts raise
`MultipartError`. Limits: MOST_PARTS; `guard` limits the octets.
"""

import logging
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MOST_PARTS: Final = 300
_DISPOSITION: Final = b"content-disposition"

# What it would log is about octets of clients, and each error is an answer to the client.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


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
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise MultipartError("expected a boundary")
    form = _Form()
    try:
        MultipartParser(boundary, form.callbacks()).write(body)
    except FormParserError as error:
        raise MultipartError(str(error)) from error
    if not form.is_complete:
        raise MultipartError("expected a delimiter after the last part")
    return form.parts


class _Form:
    """Collects what the parser finds. Its pieces are a place in the body: `data[start:end]`."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.is_complete = False
        self._begin()

    def callbacks(self) -> "MultipartCallbacks":
        """Return the functions that the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": partial(self._add, "name"),
            "on_header_value": partial(self._add, "value"),
            "on_header_end": self._end_header,
            "on_part_data": partial(self._add, "content"),
            "on_part_end": self._end,
            "on_end": self._complete,
        }

    def _begin(self) -> None:
        self._found = {"name": bytearray(), "value": bytearray(), "content": bytearray()}
        self._disposition = b""

    def _add(self, piece: str, data: bytes, start: int, end: int) -> None:
        self._found[piece] += data[start:end]

    def _end_header(self) -> None:
        if self._found["name"].lower() == _DISPOSITION:
            self._disposition = bytes(self._found["value"])
        self._found["name"].clear()
        self._found["value"].clear()

    def _end(self) -> None:
        if len(self.parts) == MOST_PARTS:
            raise MultipartError(f"expected at most {MOST_PARTS} parts")
        kind, options = parse_options_header(self._disposition)
        name = options.get(b"name")
        if kind != b"form-data" or name is None:
            raise MultipartError('expected Content-Disposition: form-data; name="x"')
        content = bytes(self._found["content"])
        self.parts.append(Part(_decoded(name), content, b"filename" in options))

    def _complete(self) -> None:
        self.is_complete = True


def _decoded(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise MultipartError("expected UTF-8") from None
