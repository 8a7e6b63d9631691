"""Rules of the plugin `regex`, and regular expressions of other servers.

Perl and JavaScript have expressions that RE2 lacks; such a one is a ValueError with the reason.

Limits: those of RE2 in `gatepost.lists.patterns`, for all rules of a file together.
"""

import re

from gatepost.lists.patterns import PatternSet
from gatepost.migration.source import Line

_SPECIAL = re.compile(r"([!-,./:-?\[-^`{-~])")
_SLASH = re.compile(r"(\\.)|/", re.DOTALL)
_REPLY = re.compile(r"[ -~]{1,200}")


class Rules:
    """The rules for one place, such as "sender"; the limits apply to all of them together."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._patterns: PatternSet[None] = PatternSet()

    def rule(self, name: str, pattern: str, reply: str = "") -> str:
        """Return the line of a rule that refuses; raises ValueError for an unusable pattern."""
        self._patterns.add(pattern, None)
        text = reply.strip() if _REPLY.fullmatch(reply) else ""
        return f"{name} {self._where} deny {in_slashes(pattern)} {text}".rstrip()


def quoted(text: str) -> str:
    """Return the pattern of a text that has no special characters."""
    return _SPECIAL.sub(r"\\\1", text)


def whole(pattern: str) -> str:
    """Return a pattern that must match all of a text."""
    return f"^(?:{pattern})$"


def in_slashes(pattern: str) -> str:
    """Return a pattern between slashes, with its own slashes escaped."""
    escaped = _SLASH.sub(lambda found: found[1] or r"\/", pattern)
    return f"/{escaped}/"


def first_word(line: Line) -> tuple[str, str]:
    """Return the first word of a line, and the rest."""
    word, _, rest = line.text.replace("\t", " ").partition(" ")
    return word, rest.strip()
