"""One version of a domain list, in memory.

One domain per line: `example.com` for that domain, `.example.com` for all its subdomains (as in
qmail's rcpthosts), `[192.0.2.1]` for an address literal. Comments, blank lines, notes and errors
work as in `entry`. In the configuration, and not in a file, `*` is every domain.
"""

from collections.abc import Iterable, Iterator
from typing import Self

from gatepost.config.formats import EVERY_DOMAIN
from gatepost.lists.entry import (
    LineError,
    check_text,
    decode_line,
    domain_or_literal,
    is_blank_or_comment,
    parse_or_error,
)
from gatepost.model.address import AddressError

_BLANKS = " \t\r\n"


class DomainList:
    """One version of a list, for look-ups by `domain_key`.

    `errors` has the bad lines. Iteration returns the keys, with the leading dot of suffixes.
    """

    def __init__(self, items: Iterable[str | LineError] = ()) -> None:
        found = list(items)
        self.errors = [item for item in found if isinstance(item, LineError)]
        self.bad_lines = len(self.errors)
        self._keys = dict.fromkeys(item for item in found if isinstance(item, str))
        self._has_all = EVERY_DOMAIN in self._keys
        self._has_suffixes = any(key[0] == "." for key in self._keys)

    @classmethod
    def from_lines(cls, lines: Iterable[str], source: str) -> Self:
        """Read items of the configuration, numbered from 1; `source` is the key in errors."""
        return cls(parse_domain_lines(lines, source))

    @property
    def current(self) -> Self:
        """The list itself; a `DomainFile` has the same attribute."""
        return self

    def __contains__(self, domain_key: str) -> bool:
        if domain_key in self._keys or self._has_all:
            return True
        return self._has_suffixes and self._suffix(domain_key) is not None

    def find(self, domain_key: str) -> str | None:
        """Return the entry that matches a domain, with the leading dot of a suffix, or None."""
        return domain_key if domain_key in self._keys else self._suffix(domain_key)

    def _suffix(self, domain_key: str) -> str | None:
        at = domain_key.find(".", 1)
        while at > 0:
            if domain_key[at:] in self._keys:
                return domain_key[at:]
            at = domain_key.find(".", at + 1)
        return None

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)


def parse_domain_lines(lines: Iterable[str], source: str) -> Iterator[str | LineError]:
    """Yield the key of each item, or its error; items are numbered from 1."""
    for number, text in enumerate(lines, start=1):
        every = text == EVERY_DOMAIN
        item = text if every else parse_or_error(parse_domain_line, text, source, number)
        if item is not None:
            yield item


def parse_domain_octets(raw: bytes, source: str, line: int) -> str | None:
    """Parse one line of a file, as `parse_domain_line`."""
    return parse_domain_line(decode_line(raw, source, line), source, line)


def parse_domain_line(text: str, source: str, line: int) -> str | None:
    """Return the key of a line, None for comments and blank lines; raises `LineError`."""
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
