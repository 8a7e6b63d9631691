"""Command lines of programs, with fields: `/usr/bin/prog --user {local}`.

The line is split once, when the configuration is read, as a shell splits it (quotes, backslashes).
Fields are replaced afterwards, so an address always stays within its argument.

The line comes from the administrator and is trusted. The values are not.

Security: a value must not become an option. A value that starts with `-` is refused at the start of
an argument, and so is a local part with `/` anywhere, because a program could use it as a file
name. Control characters are refused everywhere, so no value ends early at a NUL.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from gatepost.delivery.fields import FIELD, MAILBOX_FIELDS, check_fields

RECIPIENT_FIELDS = ("recipient", *MAILBOX_FIELDS)
FIELDS = (*RECIPIENT_FIELDS, "sender")

_NO_VALUES: Mapping[str, str] = {}
_CONTROL = re.compile(r"[\0-\x1f\x7f-\x9f\ud800-\udfff]")


class UnsafeValueError(Exception):
    """A value that must not be put into an argument; `field` is the field it is for."""

    def __init__(self, field: str, value: str, expected: str) -> None:
        super().__init__(f"expected a {field} {expected}, found {value!r}")
        self.field = field


class CommandLine:
    """The command line of a program.

    `text` starts with the program's path, relative to the folder `base`, and may contain `fields`.
    `per_recipient` is whether one of them names the recipient. Raise ValueError for an open quote,
    a program without a path, an unknown field and a stray brace.
    """

    def __init__(self, text: str, base: Path, fields: Sequence[str] = ()) -> None:
        words = shlex.split(text)
        if not words or "/" not in words[0] or FIELD.search(words[0]):
            raise ValueError(
                f"expected the path of a program such as /usr/bin/prog, found {text!r}"
            )
        self.program = base.absolute() / words[0]
        self._words = words[1:]
        used = {field for word in self._words for field in check_fields(word, fields)}
        self.per_recipient = not used.isdisjoint(RECIPIENT_FIELDS)

    def arguments(self, values: Mapping[str, str] = _NO_VALUES) -> list[str]:
        """Return the argument vector, the program first; raise `UnsafeValueError`."""
        return [str(self.program), *(_replace_fields(word, values) for word in self._words)]


def check_value(field: str, value: str) -> str:
    """Return a value that is safe in the environment; raise `UnsafeValueError`."""
    if _CONTROL.search(value):
        raise UnsafeValueError(field, value, "without control characters")
    return value


def check_start(field: str, value: str) -> str:
    """Return a value that is safe at the start of an argument; raise `UnsafeValueError`."""
    if value.startswith("-"):
        raise UnsafeValueError(field, value, 'that does not start with "-"')
    return check_value(field, value)


def _replace_fields(word: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        field = match[1]
        if field in MAILBOX_FIELDS and "/" in values[field]:
            raise UnsafeValueError(field, values[field], 'without "/"')
        check = check_value if match.start() else check_start
        return check(field, values[field])

    return FIELD.sub(value, word)
