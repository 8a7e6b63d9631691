"""Results of plugins about a message, which other plugins read.

    tx.results.add("spf", "fail", domain="example.com")
    if tx.results.value("spf") == "pass": ...

`session.results` has what is known about the client before MAIL; each transaction begins with it.

A name is a method of RFC 8601 ("spf", "dkim", "dmarc", "iprev", "auth") or a plugin's name. Several
results may have the same name, as those of several DKIM signatures.

Limits: MOST results for each message; more are an error of the plugin.
"""

import re
from collections.abc import Iterator, Mapping

import msgspec

MOST = 200

Value = str | int | float | bool

_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_RESULT = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


class Result(msgspec.Struct, frozen=True):
    """One result: its name, its value such as "pass", and what belongs to it."""

    name: str
    value: str
    facts: Mapping[str, Value]

    @property
    def score(self) -> float:
        """The number of points for spam (negative: against), 0 without any."""
        return float(self.facts.get("score", 0.0))


class Results:
    """The results of one transaction or client, in the order in which they were added.

    A transaction begins with `earlier`, the results about its client.
    """

    __slots__ = ("_all",)

    def __init__(self, earlier: "Results | None" = None) -> None:
        self._all: list[Result] = [] if earlier is None else list(earlier)

    def add(self, name: str, value: str, /, **facts: Value) -> Result:
        """Add a result.

        `value` is one word in lower case, as in RFC 8601 section 2.7. `facts` are free; `score` is
        a number of points. Raises ValueError for a wrong name or value, TypeError for a
        wrong fact.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"expected the name of a result such as 'spf', found {name!r}")
        if not _RESULT.fullmatch(value):
            raise ValueError(f"expected a word in lower case such as 'pass', found {value!r}")
        for key, fact in facts.items():
            if not isinstance(fact, Value):
                found = type(fact).__name__
                raise TypeError(f"expected text or a number as {key}, found {found}")
        if len(self._all) >= MOST:
            raise ValueError(f"a message has at most {MOST} results")
        result = Result(name, value, facts)
        self._all.append(result)
        return result

    def replace(self, name: str, value: str, /, **facts: Value) -> Result:
        """Add a result instead of those of the same name; arguments and errors as `add`."""
        others = [one for one in self._all if one.name != name]
        result = self.add(name, value, **facts)
        self._all = [*others, result]
        return result

    def value(self, name: str) -> str | None:
        """Return the value of the last result of a name, None if there is none."""
        result = self.get(name)
        return None if result is None else result.value

    def get(self, name: str) -> Result | None:
        """Return the last result of a name, None if there is none."""
        return next((one for one in reversed(self._all) if one.name == name), None)

    def all(self, name: str) -> list[Result]:
        """Return every result of a name."""
        return [one for one in self._all if one.name == name]

    @property
    def score(self) -> float:
        """The sum of all points."""
        return sum(one.score for one in self._all)

    def __getitem__(self, name: str) -> Result:
        result = self.get(name)
        if result is None:
            raise KeyError(name)
        return result

    def __contains__(self, name: object) -> bool:
        return any(one.name == name for one in self._all)

    def __iter__(self) -> Iterator[Result]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)
