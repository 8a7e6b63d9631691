"""What is wrong with a configuration, and where.

What it is for: every reader below reports into a `Place` and goes on, so that one run names all
problems instead of the first. Trusts nothing: values and keys are quoted and cut short before
they are shown.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Self

import msgspec

MAX_SHOWN = 80

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_INDEX = re.compile(r"\[\d+\]")


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong: the file (or other source), the key in it, and what to do.

    `str()` is the line an administrator reads:
    `gatepost.toml: limits.recipients: expected a whole number from 1 to 100000, found "abc"`.
    """

    source: str
    key: str
    what: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.source, self.key, self.what) if part)


class ConfigError(Exception):
    """The configuration cannot be used; `problems` says why, all of it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = list(problems)


class Location:
    """Where in the configuration a reader is.

    All places of one reading share `problems`, and `values`: each value that was read without
    one, beside its place.
    """

    __slots__ = ("key", "problems", "source", "values")

    def __init__(self, source: str) -> None:
        self.source = source
        self.key = ""
        self.problems: list[Problem] = []
        self.values: list[tuple[Location, object]] = []

    def member(self, name: str) -> Self:
        """Return the place of a key of the table here."""
        bare = name if _BARE_KEY.fullmatch(name) else quote(name)
        return self._inside(f"{self.key}.{bare}" if self.key else bare)

    def item(self, index: int) -> Self:
        """Return the place of an item of the array here, counted from 0."""
        return self._inside(f"{self.key}[{index}]")

    def _inside(self, key: str) -> Self:
        location = type(self)(self.source)
        location.key, location.problems, location.values = key, self.problems, self.values
        return location

    @property
    def pattern(self) -> str:
        """The key without the numbers of its items: `listen[].address`."""
        return _INDEX.sub("[]", self.key)

    def report(self, what: str) -> None:
        """Report a problem here."""
        self.problems.append(Problem(self.source, self.key, what))

    def report_mismatch(self, expected: str, found: str) -> None:
        """Report that something else was expected here."""
        self.report(f"expected {expected}, found {found}")


def quote(text: str) -> str:
    """Return the text in double quotes, control characters escaped, at most MAX_SHOWN of it."""
    cut = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
    return json.dumps(cut, ensure_ascii=False)


def format_value(value: object) -> str:
    """Return a value as a message shows it: near to TOML, and short."""
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
