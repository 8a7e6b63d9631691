"""Folder names from recipients: `var/mail/{domain}/{local}`.

The template comes from the administrator and is trusted. The values are not: a recipient's name is
whatever a client on the Internet sends.

Security: the value of a field stays within one path component. Every character outside
a-z 0-9 + - = _ . is written as %xx per octet of UTF-8, and so is a leading full stop. So a value
contains no separator, is never "." or "..", is not hidden (in a Maildir, a folder), and leaves the
file system nothing to fold or normalise. Two different names never share a folder, even if the file
system ignores case: capitals are escaped, and hexadecimal digits are lower case.

Limits: MAX_COMPONENT octets for a component, as Linux file systems allow. A value that is too long
for its share is cut and ends in "%-" and the SHA-256 of the name; no escape looks like that. Plain
names of up to 64 octets, the limit of a local part in RFC 5321 section 4.5.3.1.1, are never cut.
"""

import re
from hashlib import sha256
from itertools import takewhile
from pathlib import Path

from gatepost.delivery.fields import FIELD, MAILBOX_FIELDS, check_fields

MAX_COMPONENT = 255
MIN_FIELD = 100  # room for a readable start in front of "%-" and 64 hexadecimal digits

_UNSAFE = re.compile(rb"[^a-z0-9+=_.-]|\A\.")
# Two fields of one component need a character between them that no value contains.
_SEPARATOR = re.compile(r"[^a-z0-9+=_.%-]")
_EMPTY = "%"


class PathTemplate:
    """A path that may contain `{local}`, `{domain}`, `{user}` and `{tag}`.

    `text` is the template, relative to the folder `base` unless it starts with `/`. Raise
    ValueError for an empty path, an unknown field, a stray brace, a NUL, two fields in a component
    without a separator, and too little room for a field.
    """

    def __init__(self, text: str, base: Path) -> None:
        if not text or "\0" in text:
            raise ValueError(
                f"expected a path such as var/mail/{{domain}}/{{local}}, found {text!r}"
            )
        self._parts = [(part, _check_component(part)) for part in text.split("/") if part]
        self._root = Path("/") if text.startswith("/") else base.absolute()

    @property
    def fixed(self) -> Path:
        """The folder that contains all paths or, without a field, the only path."""
        parts = (part for part, _ in self._parts)
        return self._root.joinpath(*takewhile(lambda part: not FIELD.search(part), parts))

    def path(self, values: dict[str, str]) -> Path:
        """Return the path for the values of all MAILBOX_FIELDS."""
        return self._root.joinpath(*(_fill(part, room, values) for part, room in self._parts))


def encode_name(name: str, room: int = MAX_COMPONENT) -> str:
    """Return a unique safe name of at most `room` (MIN_FIELD or more) characters for any text."""
    octets = name.encode("utf-8", "surrogatepass")
    encoded = _UNSAFE.sub(lambda match: b"%%%02x" % match[0][0], octets).decode("ascii") or _EMPTY
    if len(encoded) <= room:
        return encoded
    digest = "%-" + sha256(octets).hexdigest()
    return encoded[: room - len(digest)] + digest


def _fill(part: str, room: int, values: dict[str, str]) -> str:
    return FIELD.sub(lambda match: encode_name(values[match[1]], room), part)


def _check_component(part: str) -> int:
    """Return how many characters each field of this component may have."""
    fields = check_fields(part, MAILBOX_FIELDS)
    literals = FIELD.split(part)[::2]
    if not all(_SEPARATOR.search(literal) for literal in literals[1:-1]):
        raise ValueError(f"no separator between the fields of {part!r}: expected a / or an @")
    room = MAX_COMPONENT - sum(len(literal.encode()) for literal in literals)
    if room < MIN_FIELD * len(fields):
        raise ValueError(f"{part!r} leaves less than {MIN_FIELD} characters for each field")
    return room // max(1, len(fields))
