"""Argument vectors from a command line with fields: `/usr/bin/prog --user {local}`.

The line is split once, when the configuration is read, as a shell would (quotes, backslashes);
fields are filled in afterwards. So whatever is in an address stays within its argument.

Trusts the line, which is the administrator's, and nothing that is put into it.

Security: a field at the beginning of an argument must not become an option: a value that begins
with `-` is refused there, as is a local part with a `/` in it anywhere, for a program may take it
for a file's name. Control characters are refused everywhere; so no value ends early at a NUL.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

RECIPIENT_FIELDS = ("recipient", "local", "user", "domain")
FIELDS = (*RECIPIENT_FIELDS, "sender")
NAMES = frozenset({"local", "user", "domain"})  # these are names, where a slash has no place

_FIELD = re.compile(r"\{([^{}]*)\}")
_NO_VALUES: Mapping[str, str] = {}
_IMPURE = re.compile(r"[\0-\x1f\x7f-\x9f\ud800-\udfff]")


class ValueRefusedError(Exception):
    """A value that must not be put into an argument; `field` is the one it was for."""

    def __init__(self, field: str, value: str, why: str) -> None:
        super().__init__(f"expected a {field} {why}, found {value!r}")
        self.field = field


class Arguments:
    """The command line of a program.

    `text` begins with the program's path, relative to the folder `base`, and may have `fields`;
    `per_recipient` says whether one of them names the recipient. Raises ValueError for a line that
    ends within quotes, a program without a path, an unknown field and a stray brace.
    """

    def __init__(self, text: str, base: Path, fields: Sequence[str] = ()) -> None:
        words = shlex.split(text)
        if not words or "/" not in words[0] or _FIELD.search(words[0]):
            raise ValueError(
                f"expected the path of a program such as /usr/bin/prog, found {text!r}"
            )
        self.program = base.absolute() / words[0]
        self._words = words[1:]
        used = {field for word in self._words for field in _check_word(word, fields)}
        self.per_recipient = not used.isdisjoint(RECIPIENT_FIELDS)

    def fill(self, values: Mapping[str, str] = _NO_VALUES) -> list[str]:
        """Return the vector, the program first; raises `ValueRefusedError`."""
        return [str(self.program), *(_fill(word, values) for word in self._words)]


def check_value(field: str, value: str) -> str:
    """Return a value that is good for the environment; raises `ValueRefusedError`."""
    if _IMPURE.search(value):
        raise ValueRefusedError(field, value, "without control characters")
    return value


def check_start(field: str, value: str) -> str:
    """Return a value that an argument may begin with; raises `ValueRefusedError`."""
    if value.startswith("-"):
        raise ValueRefusedError(field, value, 'that does not begin with "-"')
    return check_value(field, value)


def _fill(word: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        field = match[1]
        if field in NAMES and "/" in values[field]:
            raise ValueRefusedError(field, values[field], 'without "/"')
        check = check_value if match.start() else check_start
        return check(field, values[field])

    return _FIELD.sub(value, word)


def _check_word(word: str, known: Sequence[str]) -> list[str]:
    names = ", ".join(f"{{{field}}}" for field in known)
    expected = f"expected one of {names}" if known else "expected no fields"
    fields = _FIELD.findall(word)
    for field in fields:
        if field not in known:
            raise ValueError(f"{expected}, found {{{field}}}")
    if any(brace in literal for literal in _FIELD.split(word)[::2] for brace in "{}"):
        raise ValueError(f"stray brace in {word!r}: {expected}")
    return fields
