"""One line of a list: the grammar, the entry and the error.

The qmail control format, one entry per line:

    # a comment            comments and blank lines are ignored
    trap@example.com       one mailbox; `"a b"@example.com` if the local part needs quotes
    @example.net           every mailbox of the domain (not of its subdomains)
    /^sales-[0-9]+@/       a regular expression, searched in the canonical address, ignoring case

White space ends the entry; the rest of the line is a note. A regular expression ends at the first
unescaped `/` before white space or the end of the line; write `[ ]` for a blank after a slash.
Leading and trailing blanks, a UTF-8 byte order mark and CR before LF are removed.

Trusts nothing: every other line raises `LineError` and no other exception. Regular expressions are
those of RE2, which cannot block (see `patterns`).

Limits: MAX_LINE octets.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import TypeAlias, TypeVar

import msgspec

from gatepost.lists.patterns import PatternError, compile_pattern
from gatepost.log.printable import printable
from gatepost.model.address import MAX_LABEL, Address, AddressError, domain_key

_Line = TypeVar("_Line", str, bytes)
_Item = TypeVar("_Item")

# The longest address is 512 octets as ASCII; the rest is room for a note.
MAX_LINE = 8192

_BLANKS = " \t\r\n"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# A fast path for addresses that are already canonical, so that reading millions takes seconds. The
# full grammar accepts all of them too, with the same key. Short enough for every label.
_PLAIN_WORD = r"[a-z0-9_+=-]+"
_PLAIN_LABEL = r"[a-z0-9]+(?:-+[a-z0-9]+)*"
_PLAIN = re.compile(
    rf"{_PLAIN_WORD}(?:\.{_PLAIN_WORD})*@{_PLAIN_LABEL}(?:\.{_PLAIN_LABEL})*", re.ASCII
)
_PLAIN_LENGTH = MAX_LABEL + 1
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ADDRESS_AND_NOTE = re.compile(r'("(?:[^"\\]|\\.)*"[^ \t]*|[^ \t]+)[ \t]*(.*)')
_PATTERN_AND_NOTE = re.compile(r"(/(?:[^\\]|\\.)*?/)(?:$|[ \t]+(.*))")


class EntryKind(Enum):
    """The kinds of entries."""

    ADDRESS = "address"
    DOMAIN = "domain"
    PATTERN = "pattern"


class ListEntry(msgspec.Struct, frozen=True, gc=False):
    """One entry of a list.

    `key` is the canonical form for comparison (`Address.key`, `@domain` or `/pattern/`), `text` the
    entry as written, `note` the rest of the line, `source` and `line` its file and line number.
    """

    kind: EntryKind
    key: str
    text: str
    note: str
    source: str
    line: int


class LineError(ValueError):
    """A bad line: its file and number, the expected syntax and the text found."""

    def __init__(self, source: str, line: int, expected: str, found: str) -> None:
        super().__init__(f"{source}:{line}: expected {expected}, found '{printable(found[:80])}'")
        self.source = source
        self.line = line
        self.expected = expected
        self.found = found


def parse_line(text: str, source: str, line: int) -> ListEntry | None:
    """Return the entry of a line, None for comments and blank lines; raises `LineError`."""
    text = text.strip(_BLANKS)
    if len(text) < _PLAIN_LENGTH and _PLAIN.fullmatch(text):
        return ListEntry(EntryKind.ADDRESS, text, text, "", source, line)
    if is_blank_or_comment(text):
        return None
    try:
        kind, key, written, note = _READERS.get(text[0], _read_address)(check_text(text))
    except _UnexpectedError as error:
        raise LineError(source, line, str(error), text) from None
    return ListEntry(kind, key, written, note, source, line)


def parse_octets(raw: bytes, source: str, line: int) -> ListEntry | None:
    """Parse one line of a file, as `parse_line`."""
    return parse_line(decode_line(raw, source, line), source, line)


def parse_lines(lines: Iterable[str], source: str) -> Iterator[ListEntry | LineError]:
    """Yield the entry or the error of each line, numbered from 1; skip comments."""
    return parse_each(parse_line, lines, source)


def parse_each(
    parse: Callable[[_Line, str, int], _Item | None], lines: Iterable[_Line], source: str
) -> Iterator[_Item | LineError]:
    """Yield the result or the error of `parse` for each line, numbered from 1; skip None."""
    for number, line in enumerate(lines, start=1):
        item = parse_or_error(parse, line, source, number)
        if item is not None:
            yield item


def parse_or_error(
    parse: Callable[[_Line, str, int], _Item], line: _Line, source: str, number: int
) -> _Item | LineError:
    """Return the result of `parse`, or the `LineError` it raises."""
    try:
        return parse(line, source, number)
    except LineError as error:
        return error


def decode_line(raw: bytes, source: str, line: int) -> str:
    """Return the text of a line of a file; raises `LineError` if too long or not UTF-8."""
    if len(raw) > MAX_LINE:
        head = raw[:80].decode("utf-8", "replace")
        raise LineError(source, line, f"a line of at most {MAX_LINE} octets", head)
    try:
        return raw.removeprefix(_BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError:
        raise LineError(source, line, "UTF-8", _shown(raw)) from None


def _shown(raw: bytes) -> str:
    return raw.rstrip(b"\r\n").decode("utf-8", "backslashreplace")


def is_blank_or_comment(text: str) -> bool:
    """Return whether a stripped line is blank or a comment."""
    return not text or text[0] == "#"


def check_text(text: str) -> str:
    """Return `text`; raises ValueError if it contains control characters."""
    if _CONTROL.search(text):
        raise _UnexpectedError("text without control characters")
    return text


def domain_or_literal(text: str) -> str:
    """Return the key of a domain or an address literal; raises `AddressError`."""
    return domain_key(Address.parse(f"postmaster@{text}").domain)


class _UnexpectedError(ValueError):
    """The expected syntax; `parse_line` adds file and line."""


_Parts: TypeAlias = tuple[EntryKind, str, str, str]


def _read_address(text: str) -> _Parts:
    written, note = _split(text)
    try:
        address = Address.parse(written)
    except AddressError:
        raise _UnexpectedError("local-part@domain, @domain or /pattern/") from None
    if not address.local:
        # Its key would equal that of the whole domain.
        raise _UnexpectedError("a local part that is not empty")
    if "*" in address.local and written[0] != '"':
        # A wildcard of another server, which would match no recipient.
        raise _UnexpectedError(f"@{address.domain} for a whole domain, or /pattern/")
    return EntryKind.ADDRESS, address.key, written, note


def _read_domain(text: str) -> _Parts:
    written, note = _split(text)
    try:
        return EntryKind.DOMAIN, "@" + domain_or_literal(written[1:]), written, note
    except AddressError:
        raise _UnexpectedError("a domain name after the @") from None


def _read_pattern(text: str) -> _Parts:
    match = _PATTERN_AND_NOTE.fullmatch(text)
    if match is None:
        raise _UnexpectedError("a / that ends the pattern")
    pattern = match[1][1:-1]
    if not pattern:
        raise _UnexpectedError("a pattern between the slashes")
    try:
        compile_pattern(pattern)
    except PatternError as error:
        raise _UnexpectedError(str(error)) from None
    return EntryKind.PATTERN, match[1], match[1], match[2] or ""


def _split(text: str) -> tuple[str, str]:
    match = _ADDRESS_AND_NOTE.fullmatch(text)
    assert match is not None
    return match[1], match[2]


_READERS: dict[str, Callable[[str], _Parts]] = {"@": _read_domain, "/": _read_pattern}
