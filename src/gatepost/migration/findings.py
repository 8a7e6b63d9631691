"""Findings of an import: the outcome for each file, line and plugin."""

from collections.abc import Iterator
from enum import Enum

import msgspec

# Wrong lines of one file that get a finding of their own.
MOST_BAD_LINES = 10


class Kind(Enum):
    """The groups of the report, in its order."""

    TAKEN = "taken over"
    DIFFERENT = "different here"
    LEFT = "not taken over"


class Finding(msgspec.Struct, frozen=True):
    """The outcome for a file, line or plugin: its place, a text, a page of the documentation."""

    kind: Kind
    place: str
    text: str
    page: str = ""


class _BadLines(msgspec.Struct):
    """The number of wrong lines of a file, and the last of them."""

    count: int = 0
    last: int = 0


class Findings:
    """All findings, in the order in which they were made, each once."""

    def __init__(self) -> None:
        self._all: dict[Finding, None] = {}
        self._bad_lines: dict[str, _BadLines] = {}

    def taken(self, place: str, text: str, page: str = "") -> None:
        """Record what was taken over."""
        self._all[Finding(Kind.TAKEN, place, text, page)] = None

    def different(self, place: str, text: str, page: str = "") -> None:
        """Record what was taken over, or needs nothing, but works in another way here."""
        self._all[Finding(Kind.DIFFERENT, place, text, page)] = None

    def left(self, place: str, text: str, page: str = "") -> None:
        """Record what was not taken over, with the reason."""
        self._all[Finding(Kind.LEFT, place, text, page)] = None

    def bad_line(self, file: str, line: int, problem: str) -> None:
        """Record a wrong line, once if the file is read again.

        Beyond MOST_BAD_LINES of a file they are only counted.
        """
        bad = self._bad_lines.setdefault(file, _BadLines())
        if line <= bad.last:
            return
        bad.last = line
        bad.count += 1
        if bad.count <= MOST_BAD_LINES:
            self.left(f"{file}:{line}", problem)

    def replaced(self, place: str, text: str, problem: str) -> None:
        """Record that what was taken over, with a text in its finding, is not valid here."""
        for one in list(self._all):
            if one.kind is Kind.TAKEN and one.place == place and text in one.text:
                del self._all[one]
        self.left(place or "gatepost.toml", problem)

    def places(self) -> set[str]:
        """Return the files that have a finding, without the numbers of lines."""
        return {one.place.partition(":")[0] for one in self._all}

    def of(self, kind: Kind) -> list[Finding]:
        """Return the findings of a kind."""
        return [one for one in (*self._all, *self._more()) if one.kind is kind]

    def _more(self) -> Iterator[Finding]:
        for file, bad in self._bad_lines.items():
            if bad.count > MOST_BAD_LINES:
                yield Finding(Kind.LEFT, file, f"{bad.count - MOST_BAD_LINES} more wrong lines")
