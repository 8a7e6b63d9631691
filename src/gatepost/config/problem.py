"""Errors in a configuration, with their locations.

All readers report to a `Location` and continue, so that one run shows all problems instead of the
first. Trusts nothing: values and keys are quoted and truncated before they are shown.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Self

import msgspec

from gatepost.config.redact import redact

MAX_SHOWN = 80

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_INDEX = re.compile(r"\[\d+\]")


class Problem(msgspec.Struct, frozen=True):
    """One error: the file (or other source), the key, and a description.

    `str()` returns the line for the administrator:
    `gatepost.toml: limits.recipients: expected a whole number from 1 to 100000, found "abc"`.
    """

    source: str
    key: str
    text: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.source, self.key, self.text) if part)


class ConfigError(Exception):
    """The configuration is unusable; `problems` has all errors."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = list(problems)


class Location:
    """The position of a reader in the configuration.

    All locations of one run share `problems` and `values`. `values` has each valid value with its
    location.
    """

    __slots__ = ("key", "problems", "source", "values")

    def __init__(self, source: str) -> None:
        self.source = source
        self.key = ""
        self.problems: list[Problem] = []
        self.values: list[tuple[Location, object]] = []

    def member(self, name: str) -> Self:
        """Return the location of a key of this table."""
        bare = name if _BARE_KEY.fullmatch(name) else quote(name)
        return self._inside(f"{self.key}.{bare}" if self.key else bare)

    def item(self, index: int) -> Self:
        """Return the location of an item of this array, counted from 0."""
        return self._inside(f"{self.key}[{index}]")

    def _inside(self, key: str) -> Self:
        location = type(self)(self.source)
        location.key, location.problems, location.values = key, self.problems, self.values
        return location

    @property
    def pattern(self) -> str:
        """The key without item numbers: `listen[].address`."""
        return _INDEX.sub("[]", self.key)

    def report(self, text: str) -> None:
        """Report an error at this location."""
        self.problems.append(Problem(self.source, self.key, text))

    def report_mismatch(self, expected: str, found: str) -> None:
        """Report a wrong or missing value at this location."""
        self.report(f"expected {expected}, found {found}")


def quote(text: str) -> str:
    """Return up to MAX_SHOWN characters in double quotes, with control characters escaped.

    A password in a URL is not shown. It is removed first, because a cut could hide the `@`.
    """
    text = redact(text)
    cut = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
    return json.dumps(cut, ensure_ascii=False)


def format_value(value: object) -> str:
    """Return a value in a short form similar to TOML, for error messages."""
    match value:
        case str():
            return quote(value)
        case bool():
            return "true" if value else "false"
        case Mapping():
            return "a table"
        case list() | tuple():
            return "an array"
        case int() if abs(value) >= 10**MAX_SHOWN:
            return "a number too long to show"
        case _:
            return str(value)[:MAX_SHOWN]
