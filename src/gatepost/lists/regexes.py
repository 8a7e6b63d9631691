r"""Lists of regular expressions: one version in memory, and a file of them.

One expression per line, in the syntax of RE2, searched in any text, ignoring case (see `patterns`).
`/expression/ note` has a note, as in address lists; a line that does not start with `/` is an
expression as a whole. Write `[#]` for an expression that starts with `#`. Comments, blank lines and
errors work as in `entry`.

Limits: those of `patterns`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from gatepost.lists.entry import (
    LineError,
    check_text,
    decode_line,
    is_blank_or_comment,
    parse_each,
    parse_line,
)
from gatepost.lists.file import MemoryFile
from gatepost.lists.patterns import PatternError, PatternSet
from gatepost.lists.text import read_lines, with_pauses

_BLANKS = " \t\r\n"


class Regex(NamedTuple):
    """An expression with its file and line number."""

    pattern: str
    source: str
    line: int


class RegexList:
    """One version of a list. `errors` has the bad lines."""

    def __init__(self, items: Iterable[Regex | LineError] = ()) -> None:
        self.errors: list[LineError] = []
        self._patterns: PatternSet[str] = PatternSet()
        for item in items:
            if isinstance(item, LineError):
                self.errors.append(item)
            else:
                self._add(item)
        self._patterns.prepare()
        self.bad_lines = len(self.errors)

    def _add(self, one: Regex) -> None:
        try:
            self._patterns.add(one.pattern, one.pattern)
        except PatternError as error:
            self.errors.append(LineError(one.source, one.line, str(error), one.pattern))

    @classmethod
    def from_lines(cls, lines: Iterable[str], source: str) -> Self:
        """Read lines, numbered from 1; `source` is the file name in errors."""
        return cls(parse_each(parse_regex_line, lines, source))

    @property
    def current(self) -> Self:
        """The list itself; a `RegexFile` has the same attribute."""
        return self

    def find(self, text: str) -> str | None:
        """Return the first expression that is found in a text, or None."""
        return self._patterns.find(text)

    def __len__(self) -> int:
        return len(self._patterns)


class RegexFile(MemoryFile[RegexList]):
    """A file of regular expressions; `current` is the last good version."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, parse_regexes)
        self.current = RegexList()


def parse_regexes(file: BinaryIO, source: str) -> RegexList:
    """Read a list of regular expressions into memory."""
    return RegexList(with_pauses(parse_each(_parse_octets, read_lines(file), source)))


def _parse_octets(raw: bytes, source: str, line: int) -> Regex | None:
    return parse_regex_line(decode_line(raw, source, line), source, line)


def parse_regex_line(text: str, source: str, line: int) -> Regex | None:
    """Return the expression of a line, None for comments and blank lines; raises `LineError`.

    An expression without slashes is compiled when it is added to its list.
    """
    text = text.strip(_BLANKS)
    if is_blank_or_comment(text):
        return None
    if text[0] == "/":
        entry = parse_line(text, source, line)
        return None if entry is None else Regex(entry.key[1:-1], source, line)
    try:
        return Regex(check_text(text), source, line)
    except ValueError as error:
        raise LineError(source, line, str(error), text) from None
