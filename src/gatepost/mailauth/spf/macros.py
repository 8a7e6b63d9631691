"""Macros (RFC 7208 section 7): parse a text with macros once, expand it for a client.

Limits: a domain name is expanded from its end, up to the 253 octets that a name can have, and an
explanation from its start, up to MAX_EXPLANATION. So a record with many macros takes no more time.
"""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from gatepost.mailauth.hosts import MAX_NAME
from gatepost.mailauth.spf.problem import ExpectedError
from gatepost.model.structs import Frozen

MAX_EXPLANATION = 500

# RFC 7208 s7.1: macro-expand
_MACRO = re.compile(
    r"%(?:\{([slodiphcrtv])([0-9]*)(r?)([-.+,/_=]*)\}|([%_-]))", re.IGNORECASE | re.ASCII
)
_ESCAPES = {"%": "%", "_": " ", "-": "%20"}
_MOST_DIGITS = 3
_ALL_PARTS = 0


class Macro(Frozen, frozen=True):
    """A macro: its letter, the number of parts on the right that are kept, and the delimiters."""

    letter: str
    keep: int
    reverse: bool
    delimiters: str
    escape: bool

    def expand(self, values: Mapping[str, str]) -> str:
        """Return the value of the macro (RFC 7208 section 7.3)."""
        text = values[self.letter]
        if self.keep or self.reverse or self.delimiters != ".":
            text = ".".join(self._parts(text))
        return quote(text, safe="", errors="replace") if self.escape else text

    def _parts(self, text: str) -> list[str]:
        first = self.delimiters[0]
        parts = text.translate(dict.fromkeys(map(ord, self.delimiters), first)).split(first)
        if self.reverse:
            parts.reverse()
        return parts[-self.keep :]


class MacroText(Frozen, frozen=True):
    """A text with macros. `letters` are those that it uses, in lower case."""

    parts: tuple[str | Macro, ...]
    letters: frozenset[str]
    ends_with_macro: bool

    def name(self, values: Mapping[str, str]) -> str:
        """Return the domain name, without labels on the left beyond 253 octets."""
        if len(self.parts) == 1 and isinstance(self.parts[0], str):
            return _fitting(self.parts[0].removesuffix("."))
        tail = ""
        for text in self._expanded(values, reverse=True):
            tail = text[-MAX_NAME - 2 :] + tail
            if len(tail) > MAX_NAME + 1:
                break
        return _fitting(tail.removesuffix("."))

    def explanation(self, values: Mapping[str, str]) -> str:
        """Return the text in printable ASCII, cut at MAX_EXPLANATION."""
        text = ""
        for part in self._expanded(values):
            text += part[:MAX_EXPLANATION]
            if len(text) >= MAX_EXPLANATION:
                break
        return "".join(one if " " <= one <= "~" else "?" for one in text[:MAX_EXPLANATION])

    def _expanded(self, values: Mapping[str, str], *, reverse: bool = False) -> Iterator[str]:
        for part in reversed(self.parts) if reverse else self.parts:
            yield part if isinstance(part, str) else part.expand(values)


def _fitting(name: str) -> str:
    """Return a name without the labels on its left that are too many (RFC 7208 section 7.3)."""
    if len(name) <= MAX_NAME:
        return name
    return name[len(name) - MAX_NAME - 1 :].partition(".")[2]


def parse_macros(text: str) -> MacroText:
    """Parse a macro-string (RFC 7208 section 7.1); raises ExpectedError.

    The caller checks the characters outside of macros.
    """
    parts: list[str | Macro] = []
    at, end = 0, len(text)
    while (found := text.find("%", at)) >= 0:
        if found > at:
            parts.append(text[at:found])
        match = _MACRO.match(text, found)
        if match is None:
            raise ExpectedError("a macro such as %{i}, %%, %_ or %-")
        parts.append(_ESCAPES[match[5]] if match[5] else _macro(match))
        at = match.end()
    if at < end:
        parts.append(text[at:])
    letters = frozenset(one.letter for one in parts if isinstance(one, Macro))
    return MacroText(tuple(parts), letters, end == at > 0)


def _macro(match: re.Match[str]) -> Macro:
    letter, digits, reverse, delimiters = match.group(1, 2, 3, 4)
    number = digits.lstrip("0")
    if digits and not number:
        raise ExpectedError("a number of parts above 0 in a macro")
    keep = int(number) if 0 < len(number) <= _MOST_DIGITS else _ALL_PARTS
    return Macro(letter.lower(), keep, bool(reverse), delimiters or ".", letter.isupper())
