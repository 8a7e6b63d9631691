"""Read the structure of a message: its parts, and the defects that make readers disagree (MIME).

    structure = read(content, Limits())
    for part in structure.parts: ...
    for text in texts(structure, limit=100_000): ...

The content is cut at the boundaries of all multiparts around a place, as RFC 2046 section 5.1.2
requires. Messages within the message are read too, also if they are encoded. What is malformed is
read as the most tolerant reader would read it, and is a defect (`gatepost.plugins._mime_defects`).

Trusts: nothing. It takes linear time for any octets. Limits: `Limits`, MOST_HEADERS, and
MOST_DELIMITERS lines that begin with "--"; if one is exceeded, `Structure.exceeded` is its name,
and the rest of the content has not been read.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gatepost.plugins._mime_decoding import IDENTITY
from gatepost.plugins._mime_part import MESSAGES, Part

# A text with so many such lines is no mail that people write.
MOST_DELIMITERS = 200_000
# All headers together: reading them takes most time.
MOST_HEADERS = 1024 * 1024
# More boundaries of one multipart are an attempt to use up time.
MOST_BOUNDARIES = 4


class Limits(NamedTuple):
    """The limits of a structure: parts, depth of multiparts and messages, octets of a header."""

    parts: int = 1000
    depth: int = 20
    header: int = 256 * 1024


class Structure(NamedTuple):
    """All parts in their order, the defects, and the name of the limit that is exceeded or ""."""

    parts: Sequence[Part]
    defects: set[str]
    exceeded: str


def read(content: bytes, limits: Limits | None = None) -> Structure:
    """Return the structure of a message."""
    reading = _Reading(limits or Limits())
    _Reader(content, reading, depth=0).read("text/plain")
    return Structure(reading.parts, reading.defects, reading.exceeded)


def texts(structure: Structure, limit: int) -> Iterator[str]:
    """Yield the text of each text part, decoded; of all together at most `limit` characters."""
    for part in structure.parts:
        if part.kind.startswith("text/") and limit > 0:
            text = part.text(limit)
            limit -= len(text)
            yield text


class _Reading:
    """The state of the reading so far, also of the messages around the one that is being read."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.parts: list[Part] = []
        self.defects: set[str] = set()
        self.exceeded = ""
        self.delimiters = 0
        self.headers = 0


class _Level:
    """A multipart or message around the place that is being read."""

    __slots__ = ("boundaries", "is_closed", "number", "part", "parts")

    def __init__(self, number: int, part: Part, boundaries: Sequence[bytes]) -> None:
        self.number = number
        self.part = part
        self.boundaries = boundaries
        self.is_closed = False
        self.parts = 0


class _Reader:
    """Reads one content, with the messages in it that are not encoded."""

    def __init__(self, content: bytes, reading: _Reading, depth: int) -> None:
        self._content = content
        self._reading = reading
        self._depth = depth
        self._levels: list[_Level] = []
        # The lines that are delimiters at this place, without the "--" in front; those of inner
        # levels replace equal ones.
        self._delimiters: dict[bytes, tuple[_Level, bool]] = {}
        self._boundaries: tuple[bytes, ...] = ()
        self._former: set[bytes] = set()
        self._leaf: Part | None = None

    def read(self, usual: str) -> None:
        """Read the content, whose type without a Content-Type is the usual one."""
        at = self._open(0, usual)
        while self._levels and not self._reading.exceeded:
            start = self._content.find(b"\n--", at)
            if start < 0:
                break
            at = self._at_delimiter(start)
        self._close(0, len(self._content))

    def _at_delimiter(self, start: int) -> int:
        """Handle a line that begins with "--"; return where the next one is looked for."""
        self._reading.delimiters += 1
        if self._reading.delimiters > MOST_DELIMITERS:
            self._reading.exceeded = "delimiters"
        line, end = self._line(start)
        found = self._match(line)
        if found is None:
            return start + 1
        level, is_last = found
        self._close(level.number + 1, start)
        if is_last:
            level.is_closed = True
            return end - 1
        if level.is_closed:
            self._reading.defects.add("after_end")
        level.parts += 1
        usual = "message/rfc822" if level.part.kind == "multipart/digest" else "text/plain"
        return self._open(end, usual)

    def _line(self, start: int) -> tuple[bytes, int]:
        """Return a line without the "--" in front, and the start of the next line."""
        end = self._content.find(b"\n", start + 1)
        end = len(self._content) if end < 0 else end + 1
        return self._content[start + 3 : min(end, start + 2000)].rstrip(b" \t\r\n"), end

    def _match(self, line: bytes) -> tuple[_Level, bool] | None:
        """Return the level whose delimiter a line is, and whether it is the last one."""
        found = self._delimiters.get(line)
        if found is None and line in self._former:
            # Some readers do not end a multipart in which a boundary around it comes.
            self._reading.defects.add("after_end")
            return self._levels[-1], False
        if found is None and line.startswith(self._boundaries):
            # RFC 2046 section 5.1.1: a line that begins with it is enough; not for all readers.
            self._reading.defects.add("odd_delimiter")
            return self._at_beginning(line), False
        return found

    def _at_beginning(self, line: bytes) -> _Level:
        """Return the innermost level with a boundary at the beginning of a line."""
        levels = reversed(self._levels)
        return next(one for one in levels if line.startswith(tuple(one.boundaries)))

    def _open(self, at: int, usual: str) -> int:
        """Read the header of a part; return where the next delimiter is looked for."""
        while True:
            part, at = self._header(at, usual)
            limits, parts = self._reading.limits, self._reading.parts
            parts.append(part)
            if len(parts) > limits.parts:
                self._reading.exceeded = self._reading.exceeded or "parts"
            if part.depth > limits.depth:
                self._reading.exceeded = self._reading.exceeded or "depth"
            if self._reading.exceeded or not self._enter(part):
                self._leaf = part
                return at
            if part.kind.startswith("multipart/"):
                return at
            at, usual = part.start, "text/plain"

    def _header(self, at: int, usual: str) -> tuple[Part, int]:
        """Return the part that begins here, and where the next delimiter is looked for."""
        limit = self._reading.limits.header
        if self._content.startswith((b"\r\n", b"\n"), at):
            start = self._content.find(b"\n", at) + 1
            return self._part(b"", start, usual), start - 1
        end, start = self._blank(at, min(len(self._content), at + limit))
        delimiter = self._delimiter(at, end)
        if delimiter is not None:
            return self._part(self._content[at:delimiter], delimiter, usual), delimiter
        if end == start < len(self._content):
            self._reading.exceeded = "header"
        return self._part(self._content[at:end], start, usual), max(at, start - 1)

    def _blank(self, at: int, last: int) -> tuple[int, int]:
        """Return the end of a header, and the start of the body: both `last` without one."""
        found = self._content.find(b"\n\r\n", at, last)
        plain = self._content.find(b"\n\n", at, last if found < 0 else found)
        if plain >= 0:
            return plain, plain + 2
        return (found, found + 3) if found >= 0 else (last, last)

    def _delimiter(self, at: int, end: int) -> int | None:
        """Return the place of a delimiter within a header, None without one."""
        start = self._content.find(b"\n--", max(0, at - 1), end)
        while start >= 0:
            if self._match(self._line(start)[0]) is not None:
                return start
            start = self._content.find(b"\n--", start + 1, end)
        return None

    def _part(self, block: bytes, start: int, usual: str) -> Part:
        self._reading.headers += len(block)
        if self._reading.headers > MOST_HEADERS:
            self._reading.exceeded = "header"
        return Part(self._content, start, self._depth + len(self._levels), block, usual)

    def _enter(self, part: Part) -> bool:
        """Begin a multipart or a message that is not encoded; return whether it is one."""
        if part.kind.startswith("multipart/"):
            boundaries = self._boundaries_of(part)
        elif part.kind in MESSAGES and part.encoding in IDENTITY:
            boundaries = ()
        else:
            return False
        self._levels.append(_Level(len(self._levels), part, boundaries))
        self._index()
        return True

    def _index(self) -> None:
        self._delimiters = {}
        for level in self._levels:
            for boundary in level.boundaries:
                self._delimiters |= {boundary: (level, False), boundary + b"--": (level, True)}
        self._boundaries = tuple(self._delimiters)

    def _boundaries_of(self, part: Part) -> Sequence[bytes]:
        texts = part.parameters("content-type", "boundary")
        found = list(dict.fromkeys(one.rstrip().encode("utf-8", "replace") for one in texts))
        if not self._delimiters.keys().isdisjoint(found):
            self._reading.defects.add("repeated_boundary")
        if found:
            return [*filter(None, found[:MOST_BOUNDARIES])]
        start = self._content.find(b"\n--", part.start - 1)  # some readers take the first one
        line = self._line(start)[0] if start >= 0 else b""
        return [line] if line and line not in self._delimiters else []

    def _close(self, number: int, end: int) -> None:
        """End the part that is being read, and the levels from this number on."""
        end = end - 1 if self._content[end - 1 : end] == b"\r" else end
        if self._leaf is not None:
            self._leaf.end = max(self._leaf.start, end)
            self._read_encoded(self._leaf)
            self._leaf = None
        while len(self._levels) > number:
            self._leave(self._levels.pop(), end)
            self._index()

    def _leave(self, level: _Level, end: int) -> None:
        part = level.part
        self._former.update(level.boundaries)
        part.end = max(part.start, end)
        if not part.kind.startswith("multipart/") or self._reading.exceeded:
            return
        if not level.parts:
            self._reading.defects.add("no_parts")
            self._read_encoded(part)
        elif not level.is_closed:
            self._reading.defects.add("unclosed")

    def _read_encoded(self, part: Part) -> None:
        """Read a multipart or message that is encoded, although it must not be."""
        if part.is_container and part.encoding not in IDENTITY and not self._reading.exceeded:
            head = b""
            if part.kind.startswith("multipart/"):
                lines = [f"Content-Type: {one}\r\n" for one in part.all("content-type")]
                head = "".join(lines).encode("utf-8", "replace") + b"\r\n"
            inner = _Reader(head + part.decoded().octets, self._reading, part.depth + 1)
            inner.read("text/plain")
