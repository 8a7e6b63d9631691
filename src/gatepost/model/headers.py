"""The header block of a message, parsed leniently: RFC 5322 section 2.2.

Malformed fields are kept, so that a policy can decide about them. Encoded words (RFC 2047) are not
decoded. A line that is neither a field nor a continuation of one is dropped.

A header block can have tens of thousands of fields, and parsing all of them would delay other
clients. So fields are found by name without it, and are parsed for an iteration only.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_LINE = b"\r\n"
# The end of a name: blanks are permitted in front of the colon.
_COLON = re.compile(rb"(?:(?!\r\n)[\s\x1c-\x1f])*:")
# The end of a field: a line that does not continue it.
_END = re.compile(rb"\r\n(?![ \t])")


class Headers:
    """The fields in their original order; names are compared without regard to case."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._fields: list[tuple[str, str]] | None = None

    def get(self, name: str) -> str | None:
        """Return the unfolded value of the first field of that name, or None."""
        return next(field_values(self.raw, name), None)

    def get_all(self, name: str) -> list[str]:
        """Return the unfolded values of all fields of that name."""
        return list(field_values(self.raw, name))

    def _all(self) -> list[tuple[str, str]]:
        if self._fields is None:
            self._fields = list(_fields(self.raw))
        return self._fields

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


class Place(NamedTuple):
    """The place of a field: its first octet, the first octet of its value, the end of both."""

    start: int
    value: int
    end: int


def places(raw: bytes, name: str) -> Iterator[Place]:
    """Yield the place of each field of a name; `end` excludes the final CRLF."""
    key = name.lower().encode(errors="replace")
    if not name or name != name.rstrip() or name[0] in " \t" or b":" in key or _LINE in key:
        return
    raw = _LINE + raw
    lines, start = raw.lower(), _LINE + key
    at = lines.find(start)
    while at >= 0:
        colon = _COLON.match(raw, at + len(start))
        if colon:
            end = _END.search(raw, colon.end())
            yield Place(at, colon.end() - 2, (end.start() if end else len(raw)) - 2)
        at = lines.find(start, at + 1)


def unfolded(value: bytes) -> str:
    """Return a value as text in one line."""
    return value.decode("utf-8", "replace").replace("\r\n", "").strip()


def field_values(raw: bytes, name: str) -> Iterator[str]:
    """Yield the unfolded values of all fields of a name."""
    return (unfolded(raw[place.value : place.end]) for place in places(raw, name))


def _fields(raw: bytes) -> Iterator[tuple[str, str]]:
    name, parts = "", list[str]()
    for line in raw.decode("utf-8", "replace").split("\r\n"):
        if line[:1] in (" ", "\t"):
            parts.append(line)
            continue
        if name:
            yield name, "".join(parts).strip()
        name, colon, value = line.partition(":")
        name = name.rstrip() if colon else ""
        parts = [value]
    if name:
        yield name, "".join(parts).strip()
