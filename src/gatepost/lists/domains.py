"""One version of a list of domains, in memory.

One domain a line: `example.com` for that domain, `.example.com` for all its subdomains (qmail's
rcpthosts), `[192.0.2.1]` for an address literal. Comments, blank lines and notes are as in
`entry`, and so are the complaints about lines that are none of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from gatepost.lists.entry import (
    LineError,
    check_text,
    decode_line,
    domain_or_literal,
    is_blank_or_comment,
    parse_or_error,
)
from gatepost.model.address import AddressError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BLANKS = " \t\r\n"


class DomainList:
    """One version of a list; looked up by `domain_key`s, with or without the leading dot.

    `errors` are the lines that are no domain. Iterating gives the keys, `len` counts them.
    """

    def __init__(self, items: Iterable[str | LineError] = ()) -> None:
        found = list(items)
        self.errors = [item for item in found if isinstance(item, LineError)]
        self.bad_lines = len(self.errors)
        self._keys = dict.fromkeys(item for item in found if isinstance(item, str))
        self._has_suffixes = any(key[0] == "." for key in self._keys)

    @classmethod
    def from_lines(cls, lines: Iterable[str], source: str) -> Self:
        """Read lines, numbered from 1; `source` is what errors say they come from."""
        return cls(parse_domain_lines(lines, source))

    @property
    def current(self) -> DomainList:
        """The list itself, which never changes; a file of domains has the same attribute."""
        return self

    def __contains__(self, domain_key: str) -> bool:
        return domain_key in self._keys or (self._has_suffixes and self._has_parent(domain_key))

    def _has_parent(self, domain_key: str) -> bool:
        at = domain_key.find(".", 1)
        while at > 0:
            if domain_key[at:] in self._keys:
                return True
            at = domain_key.find(".", at + 1)
        return False

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)


def parse_domain_lines(lines: Iterable[str], source: str) -> Iterator[str | LineError]:
    """Read lines, numbered from 1, into keys and complaints."""
    for number, text in enumerate(lines, start=1):
        item = parse_or_error(parse_domain_line, text, source, number)
        if item is not None:
            yield item


def parse_domain_octets(raw: bytes, source: str, line: int) -> str | None:
    """Read one line as it stands in a file; as `parse_domain_line`."""
    return parse_domain_line(decode_line(raw, source, line), source, line)


def parse_domain_line(text: str, source: str, line: int) -> str | None:
    """Read one line into its key; None for a comment or a blank line. Raises `LineError`."""
    text = text.strip(_BLANKS)
    if is_blank_or_comment(text):
        return None
    try:
        return _key(check_text(text).replace("\t", " ").partition(" ")[0])
    except AddressError:
        expected = "a domain name such as example.com or .example.com"
        raise LineError(source, line, expected, text) from None
    except ValueError as error:
        raise LineError(source, line, str(error), text) from None


def _key(name: str) -> str:
    dot = name[:1] if name[:1] == "." and name[1:2] != "[" else ""
    return dot + domain_or_literal(name.removeprefix(dot))
