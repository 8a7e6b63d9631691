"""Folder names from recipients: `var/mail/{domain}/{local}`.

Trusts the template, which is the administrator's, and nothing that is put into it: a recipient's
name is whatever a client on the internet sends.

Security: a field becomes characters of one path component and never more. Everything outside
a-z 0-9 + - = _ . is written as %xx per octet of UTF-8, a leading full stop too, so there is no
separator, no "." or "..", no hidden name (in a Maildir, a subfolder) and nothing for a file system
to fold or normalise. Two different names never share a folder, not even where the file system
ignores case: capitals are escaped and hexadecimal digits are small.

Limits: MAX_COMPONENT octets for a component, what Linux file systems allow. A field too long for
its share ends in "%-" and the SHA-256 of the name instead; no escape looks like that. At 64 octets,
what RFC 5321 section 4.5.3.1.1 promises for a local part, plain names are never shortened.
"""

import re
from hashlib import sha256
from itertools import takewhile
from pathlib import Path

MAX_COMPONENT = 255
MIN_FIELD = 100  # room for a readable beginning in front of "%-" and 64 hexadecimal digits

FIELDS = ("local", "domain", "user")

_UNSAFE = re.compile(rb"[^a-z0-9+=_.-]|\A\.")
_FIELD = re.compile(r"\{([^{}]*)\}")
# Between two fields of one component: something that no field contains.
_SEPARATOR = re.compile(r"[^a-z0-9+=_.%-]")
_EMPTY = "%"


class PathTemplate:
    """A path with `{local}`, `{domain}` and `{user}` in it.

    `text` is the template, relative to the folder `base` unless it starts with `/`. Raises
    ValueError for an empty path, an unknown field, a stray brace, a NUL, two fields of a component
    with nothing to tell them apart, and too little room for a field.
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
        """The folder that all its paths are in or, without a field, its only path."""
        parts = (part for part, _ in self._parts)
        return self._root.joinpath(*takewhile(lambda part: not _FIELD.search(part), parts))

    def path(self, values: dict[str, str]) -> Path:
        """Return the path for these values, one for each of FIELDS."""
        return self._root.joinpath(*(_fill(part, room, values) for part, room in self._parts))


def encode_name(name: str, room: int = MAX_COMPONENT) -> str:
    """Write any text in at most `room` (MIN_FIELD or more) safe characters, one way only."""
    octets = name.encode("utf-8", "surrogatepass")
    encoded = _UNSAFE.sub(lambda match: b"%%%02x" % match[0][0], octets).decode("ascii") or _EMPTY
    if len(encoded) <= room:
        return encoded
    digest = "%-" + sha256(octets).hexdigest()
    return encoded[: room - len(digest)] + digest


def _fill(part: str, room: int, values: dict[str, str]) -> str:
    return _FIELD.sub(lambda match: encode_name(values[match[1]], room), part)


def _check_component(part: str) -> int:
    """Return how many characters each field of this component may have."""
    literals = _FIELD.split(part)[::2]
    fields = _FIELD.findall(part)
    for field in fields:
        if field not in FIELDS:
            raise ValueError(f"expected {{local}}, {{domain}} or {{user}}, found {{{field}}}")
    if any(brace in literal for literal in literals for brace in "{}"):
        raise ValueError(f"stray brace in {part!r}: expected {{local}}, {{domain}} or {{user}}")
    if not all(_SEPARATOR.search(literal) for literal in literals[1:-1]):
        raise ValueError(f"fields of {part!r} run together: expected a / or an @ between them")
    room = MAX_COMPONENT - sum(len(literal.encode()) for literal in literals)
    if room < MIN_FIELD * len(fields):
        raise ValueError(f"{part!r} leaves less than {MIN_FIELD} characters for each field")
    return room // max(1, len(fields))
