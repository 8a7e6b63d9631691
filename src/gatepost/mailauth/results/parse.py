"""Read the value of an Authentication-Results field: RFC 8601 section 2.2.

The grammar is that of the RFC, and what other servers write: values with characters that a token
must not have (`header.b=a/b==`, `policy.iprev=2001:db8::1`), properties without a type
(`action=none`), an underscore in a keyword, empty values, and a semicolon at the end. Comments are
skipped.

Security: fields come from clients, unless a server of yours has made them and removed others with
its id. Reading one takes linear time, and raises nothing but `ResultsError`.

Limits: MAX_VALUE characters, MOST_METHODS results, and MOST_PROPERTIES properties of each.
"""

import re

from gatepost.mailauth.cfws import skip_cfws
from gatepost.mailauth.results.values import AuthenticationResults, MethodResult

MAX_VALUE = 65_536
MOST_METHODS = 100
MOST_PROPERTIES = 100

_KEYWORD = re.compile(r"[A-Za-z0-9_-]++")
_NUMBER = re.compile(r"[0-9]{1,9}(?![^\s;(/=])")
_ID = re.compile(r'[^\s;()"=]++')
_PLAIN = re.compile(r'[^\s;()"]++')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_AT_DOMAIN = re.compile(r'@[^\s;()"]++')
_PAIR = re.compile(r"\\(.)", re.DOTALL)


class ResultsError(ValueError):
    """The text is no Authentication-Results value; the message has the position and the reason."""


def parse(value: str) -> AuthenticationResults:
    """Return the content of a field from its value, folded or not; raises `ResultsError`."""
    if len(value) > MAX_VALUE:
        raise ResultsError(f"expected at most {MAX_VALUE} characters")
    scanner = _Scanner(value.replace("\r\n", ""))
    scanner.skip()
    authserv_id = scanner.value(_ID, "an authserv-id")
    scanner.skip()
    version = int(scanner.take(_NUMBER) or "1")
    methods = _methods(scanner)
    return AuthenticationResults(authserv_id, tuple(methods), version)


class _Scanner:
    """A text and the position in it."""

    __slots__ = ("_at", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def ended(self) -> bool:
        """Return whether the text has ended."""
        return self._at >= len(self._text)

    def skip(self) -> None:
        """Skip white space and comments."""
        at = skip_cfws(self._text, self._at)
        if at is None:
            raise self.error("the end of a comment")
        self._at = at

    def take(self, pattern: re.Pattern[str]) -> str:
        """Return what matches here, "" if nothing does."""
        found = pattern.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]

    def at_semicolon(self) -> bool:
        """Return whether the next result starts here."""
        return self._text.startswith(";", self._at)

    def has(self, char: str) -> bool:
        """Return whether a character is next, and go past it and what may be skipped."""
        if not self._text.startswith(char, self._at):
            return False
        self._at += 1
        self.skip()
        return True

    def keyword(self, name: str) -> str:
        """Return a keyword in lower case, and skip what follows it."""
        found = self.take(_KEYWORD)
        if not found:
            raise self.error(name)
        self.skip()
        return found.lower()

    def expect(self, char: str) -> None:
        """Go past a character that must be next."""
        if not self.has(char):
            raise self.error(char)

    def value(self, plain: re.Pattern[str], name: str) -> str:
        """Return a quoted string without its quotes, or what matches `plain`."""
        quoted = _QUOTED.match(self._text, self._at)
        if quoted is None:
            text = self.take(plain)
            if not text and name:
                raise self.error(name)
            return text
        self._at = quoted.end()
        domain = self.take(_AT_DOMAIN)
        return quoted[0] + domain if domain else _PAIR.sub(r"\1", quoted[1])

    def error(self, expected: str) -> ResultsError:
        """Return the error for what is next."""
        found = ascii(self._text[self._at : self._at + 20]) if not self.ended else "the end"
        return ResultsError(f"expected {expected} at {self._at}, found {found}")


def _methods(scanner: _Scanner) -> list[MethodResult]:
    methods = list[MethodResult]()
    scanner.skip()
    if scanner.ended:
        raise scanner.error(";")
    while not scanner.ended:
        scanner.expect(";")
        if scanner.ended and methods:
            break
        name = scanner.keyword("a method")
        if name == "none" and scanner.ended and not methods:
            break
        if len(methods) == MOST_METHODS:
            raise ResultsError(f"expected at most {MOST_METHODS} results")
        methods.append(_method(scanner, name))
    return methods


def _method(scanner: _Scanner, name: str) -> MethodResult:
    version = 1
    if scanner.has("/"):
        version = int(scanner.take(_NUMBER) or "0")
        scanner.skip()
    scanner.expect("=")
    result = scanner.keyword("a result")
    reason, properties = "", list[tuple[str, str]]()
    while not scanner.ended and not scanner.at_semicolon():
        key, value = _property(scanner)
        if key == "reason":
            reason = reason or value
        elif len(properties) < MOST_PROPERTIES:
            properties.append((key, value))
        else:
            raise ResultsError(f"expected at most {MOST_PROPERTIES} properties")
    return MethodResult(name, result, reason, tuple(properties), version)


def _property(scanner: _Scanner) -> tuple[str, str]:
    key = scanner.keyword("a property")
    if scanner.has("."):
        key += "." + scanner.keyword("a property")
    scanner.expect("=")
    value = scanner.value(_PLAIN, "")
    scanner.skip()
    return key, value
