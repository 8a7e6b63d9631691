r"""The rules of the plugin `regex`, from tables in the configuration and from files.

A line of a file is `NAME WHERE REACTION /pattern/ TEXT`:

    won      subject        3     /\byou (have )?won\b/
    bulk     header:X-Tool  deny  /bulk ?mailer/         Send your newsletter elsewhere

Comments, blank lines, bad lines and changes of a file are as in lists (`gatepost.lists`). The
patterns are those of RE2, searched in linear time, ignoring case (`gatepost.lists.patterns`).

Limits: those of `gatepost.lists.patterns` for the patterns of one place.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Self

import msgspec

from gatepost import Reaction
from gatepost.lists.entry import (
    LineError,
    check_text,
    decode_line,
    is_blank_or_comment,
    parse_each,
)
from gatepost.lists.file import MemoryFile
from gatepost.lists.patterns import PatternError, PatternSet
from gatepost.lists.text import read_lines, with_pauses

HEADER = "header"
NAMED = "header:"
# Short names of places.
_ALIASES = {"subject": "header:subject", "from": "header:from"}
ENVELOPE = ("client", "helo", "sender", "recipient")
CONTENT = ("text", "body", "raw")
_EXPECTED_PLACE = (
    "one of client, helo, sender, recipient, header, header:NAME, subject, from, text, body, raw"
)
_EXPECTED_LINE = "NAME WHERE REACTION /pattern/ and perhaps a text"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_FIELD = re.compile(r"[!-9;-~]{1,76}")
_LINE = re.compile(r"(\S+)[ \t]+(\S+)[ \t]+(\S+)[ \t]+/((?:[^\\]|\\.)+?)/(?:$|[ \t]+(.*))")
_MOST_SHOWN = 3


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule: its name, where the pattern is searched, the reaction, the reply, "" for the usual.

    Raises ValueError for a wrong name or place.
    """

    name: str
    where: str
    pattern: str
    reaction: Reaction = Reaction(1)
    text: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError("expected a name of letters, digits, '_', '-' and '.'")
        if not _is_place(self.place):
            raise ValueError(f"expected {_EXPECTED_PLACE}, found {self.where[:40]!r}")

    @property
    def place(self) -> str:
        """The place in lower case, without aliases."""
        where = self.where.lower()
        return _ALIASES.get(where, where)


def _is_place(place: str) -> bool:
    if place.startswith(NAMED):
        return _FIELD.fullmatch(place.removeprefix(NAMED)) is not None
    return place in (*ENVELOPE, HEADER, *CONTENT)


class RuleSet:
    """One version of the rules, by place. `errors` has the bad lines."""

    def __init__(self, items: Iterable[tuple[Rule, str, int] | LineError] = ()) -> None:
        self.errors: list[LineError] = []
        self.places: dict[str, PatternSet[Rule]] = {}
        for item in items:
            if isinstance(item, LineError):
                self.errors.append(item)
            else:
                self._add(*item)
        for patterns in self.places.values():
            patterns.prepare()
        self.bad_lines = len(self.errors)

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> Self:
        """Return a version of some rules; raises ValueError for a pattern that is not usable."""
        made = cls((one, "rules", number) for number, one in enumerate(rules))
        for error in made.errors:
            raise ValueError(f"rules[{error.line}].pattern: expected {error.expected}")
        return made

    def _add(self, rule: Rule, source: str, line: int) -> None:
        patterns = self.places.get(rule.place) or PatternSet[Rule]()
        try:
            patterns.add(rule.pattern, rule)
        except PatternError as error:
            self.errors.append(LineError(source, line, str(error), rule.pattern))
        else:
            self.places[rule.place] = patterns

    def __len__(self) -> int:
        return sum(map(len, self.places.values()))


class RuleFile(MemoryFile[RuleSet]):
    """A file of rules; `current` is the last good version."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _parse_file)
        self.current = RuleSet()


def _parse_file(file: BinaryIO, source: str) -> RuleSet:
    return RuleSet(with_pauses(parse_each(_parse_octets, read_lines(file), source)))


def _parse_octets(raw: bytes, source: str, line: int) -> tuple[Rule, str, int] | None:
    return parse_rule(decode_line(raw, source, line), source, line)


def parse_rule(text: str, source: str, line: int) -> tuple[Rule, str, int] | None:
    """Return the rule of a line with its source and number, None for comments and blank lines.

    Raises `LineError`; a pattern is compiled when it is added to its set.
    """
    text = text.strip(" \t\r\n")
    if is_blank_or_comment(text):
        return None
    try:
        found = _LINE.fullmatch(check_text(text))
        if found is None:
            raise ValueError(_EXPECTED_LINE)  # noqa: TRY301 - it gets its file and line below
        name, where, reaction, pattern, reply = found.groups()
        rule = Rule(
            name=name,
            where=where,
            pattern=pattern,
            reaction=Reaction(_number(reaction)),
            text=reply or "",
        )
    except ValueError as error:
        raise LineError(source, line, str(error).removeprefix("expected "), text) from None
    return rule, source, line


def _number(reaction: str) -> str | float:
    try:
        return float(reaction)
    except ValueError:
        return reaction


def describe(errors: Sequence[LineError]) -> str:
    """Return bad lines in words, the first few of many."""
    shown = "; ".join(map(str, errors[:_MOST_SHOWN]))
    more = len(errors) - _MOST_SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown


def matches(versions: Iterable[RuleSet], texts: Mapping[str, Sequence[str]]) -> Iterator[Rule]:
    """Yield the rules that are found in the texts of their places."""
    for version in versions:
        for place, patterns in version.places.items():
            if place in texts:
                yield from patterns.find_all(texts[place])
