r"""The regular expressions of a list, searched in linear time.

The library is RE2. It never backtracks, so no pattern and no address can block the event loop. It
has no look-around, no back-references and no possessive quantifiers; a pattern that needs them is
an error. `\d`, `\w` and `\b` match ASCII only; `\pL` and `\pN` match all letters and numbers.

Patterns are searched in groups: one search for all patterns of a group, and further searches only
if it matches. 1,000 usual patterns cost about 0.1 ms for an address that matches none.

Limits: MAX_PATTERNS and MAX_PROGRAMS instructions of RE2 in a list, MAX_PROGRAM in a pattern. The
time of a search is proportional to the instructions.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

MAX_PATTERNS = 1000
# A usual pattern has 10 to 50 instructions.
MAX_PROGRAM = 2000
MAX_PROGRAMS = 50_000

_GROUP = 32

_Entry = TypeVar("_Entry")


class PatternError(ValueError):
    """The text is not a usable pattern; the message is what was expected."""


def compile_pattern(pattern: str) -> Any:
    """Compile a pattern; raises `PatternError`."""
    import re2  # noqa: PLC0415 - takes milliseconds, and few lists have patterns

    try:
        compiled = re2.compile(pattern, _options())
    except re2.error as error:
        raise PatternError(f"a regular expression of RE2 ({_reason(error)})") from None
    except UnicodeEncodeError:
        raise PatternError("a regular expression in UTF-8") from None
    if compiled.programsize > MAX_PROGRAM:
        raise PatternError("a simpler regular expression")
    return compiled


def _options() -> Any:
    import re2  # noqa: PLC0415 - as in `compile_pattern`

    options = re2.Options()
    options.case_sensitive = False
    options.never_capture = True
    options.log_errors = False
    return options


def _reason(error: Any) -> str:
    (reason,) = error.args
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


class PatternSet(Generic[_Entry]):
    """Patterns with their entries, in order: `add` all, then `find`."""

    def __init__(self) -> None:
        self._members: list[tuple[Any, str, _Entry]] = []
        self._groups: list[tuple[Any, Sequence[tuple[Any, str, _Entry]]]] = []
        self._instructions = 0

    def __len__(self) -> int:
        return len(self._members)

    def add(self, pattern: str, entry: _Entry) -> None:
        """Add a pattern; raises `PatternError` if it is unusable, or beyond a limit of the set."""
        if len(self._members) >= MAX_PATTERNS:
            raise PatternError(f"at most {MAX_PATTERNS} regular expressions in a list")
        compiled = compile_pattern(pattern)
        if self._instructions + compiled.programsize > MAX_PROGRAMS:
            raise PatternError("simpler regular expressions in a list with so many")
        self._instructions += compiled.programsize
        self._members.append((compiled, pattern, entry))

    def prepare(self) -> None:
        """Build the groups, after the last `add`."""
        for start in range(0, len(self._members), _GROUP):
            members = self._members[start : start + _GROUP]
            self._groups += [(_any_of(members), members)]

    def find(self, *keys: str) -> _Entry | None:
        """Return the entry of the first pattern that is found in one of the keys, or None.

        All groups are searched, so that the time does not reveal a hit.
        """
        encoded = [key.encode("utf-8", "replace") for key in dict.fromkeys(keys)]
        found: _Entry | None = None
        for any_of, members in self._groups:
            matches = [any_of.search(key) for key in encoded]
            if found is None and any(matches):
                found = _first(members, encoded)
        return found

    def find_all(self, keys: Sequence[str]) -> Iterator[_Entry]:
        """Yield the entry of each pattern that is found in one of the keys, in order."""
        encoded = [key.encode("utf-8", "replace") for key in keys]
        for any_of, members in self._groups:
            searched = [key for key in encoded if any_of.search(key)]
            for compiled, _, entry in members:
                if any(compiled.search(key) for key in searched):
                    yield entry


def _first(members: Sequence[tuple[Any, str, _Entry]], keys: Sequence[bytes]) -> _Entry | None:
    for compiled, _, entry in members:
        if any(compiled.search(key) for key in keys):
            return entry
    return None


def _any_of(members: Sequence[tuple[Any, str, Any]]) -> Any:
    """Return a pattern that matches if one of the members does, and perhaps more often."""
    import re2  # noqa: PLC0415 - as in `compile_pattern`

    try:
        return re2.compile("|".join(f"(?:{pattern})" for _, pattern, _ in members), _options())
    except re2.error:  # too deep, or the same group name twice
        return re2.compile("")
