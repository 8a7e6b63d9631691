"""The class and the state of a trap in its list: words at the beginning of the note of an entry.

    old-sales@example.com  class=recycled  left in 2019
    info@example.com       class=seeded spoil=yes  hidden on the contact page
    jim.lee@example.com    state=shadow expires=2027-06-30  on the press page
    kim@example.com        class=learned exempt=partner.example state=armed  43 sources, none good

| word | meaning |
| --- | --- |
| `class=` | one of LISTED; pristine without one |
| `spoil=yes` | a guessable trap may refuse messages (`guessable`) |
| `state=` | `shadow`: hits are only recorded. `retired`: no trap any more. `armed` without one |
| `expires=` | a date (UTC) from which the entry has no effect |
| `exempt=` | domains, separated by commas, from which it has no effect |
| `by=`, `at=` | who or what wrote the line, and when (UTC, RFC 3339): in the registry |

Each word may occur once, in any order, in lower case; the first other word begins the note. So does
a word with a value that does not exist, such as "class=1999" in the note of an earlier version:
`doubt` reports it.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from enum import Enum
from typing import Any, Final

import msgspec

from gatepost.traps.verdicts import TrapClass

# The classes that an entry can have: all but the rule that needs no entry.
LISTED = {one.value: one for one in TrapClass if one is not TrapClass.VIRTUAL}


class TrapState(Enum):
    """The states of a trap."""

    SHADOW = "shadow"
    ARMED = "armed"
    RETIRED = "retired"


_RETIRED: Final = TrapState.RETIRED
STATES = {one.value: one for one in TrapState}

_WORD = re.compile(r"(class|spoil|state|expires|exempt|by|at)=([^\s=]+)(?:\s+|$)")
_LIKE_A_WORD = re.compile(r"(?:class|spoil|state|expires|exempt)\s*[=:]\s*\S*", re.IGNORECASE)


class Marks(msgspec.Struct, frozen=True):
    """The words in the note of a trap, and the rest of it; see the table above.

    `trap_class` and `state` are None, `at` and `expires` 0, without the word. The times are in
    seconds since 1970.
    """

    trap_class: TrapClass | None = None
    spoils: bool = False
    note: str = ""
    state: TrapState | None = None
    expires: float = 0.0
    exempt: tuple[str, ...] = ()
    by: str = ""
    at: float = 0.0

    def is_over(self, now: float) -> bool:
        """Return whether the entry has no effect any more: it is retired or has expired."""
        return self.state is _RETIRED or 0 < self.expires <= now


def _moment(text: str) -> float | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo else None


def _day(text: str) -> float | None:
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC).timestamp()
    except ValueError:
        return None


def _domains(text: str) -> tuple[str, ...] | None:
    found = tuple(text.split(","))
    return found if all(found) else None


# The field of each word, and the reader of its value, which returns None for a wrong one.
_FIELDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "class": ("trap_class", LISTED.get),
    "spoil": ("spoils", {"yes": True}.get),
    "state": ("state", STATES.get),
    "expires": ("expires", _day),
    "exempt": ("exempt", _domains),
    "by": ("by", str),
    "at": ("at", _moment),
}
_NONE: Final = Marks()


def read_marks(note: str) -> Marks:
    """Return the words in the note of an entry, and the rest of the note."""
    if "=" not in note:
        return Marks(note=note) if note else _NONE
    found: dict[str, Any] = {}
    at = 0
    while word := _WORD.match(note, at):
        field, read = _FIELDS[word[1]]
        value = read(word[2])
        if value is None or field in found:
            break
        found[field] = value
        at = word.end()
    return Marks(note=note[at:], **found)


def doubt(note: str) -> str:
    """Return the word at the beginning of a note that was probably meant as one of these, or ""."""
    word = _LIKE_A_WORD.match(read_marks(note).note)
    return "" if word is None else word[0]


def with_marks(marks: Marks) -> str:
    """Return the note of an entry with these words; `read_marks` returns the same again.

    `state` is the last word: a line that was cut off has none.
    """
    words = [
        f"class={marks.trap_class.value}" if marks.trap_class else "",
        "spoil=yes" if marks.spoils else "",
        f"expires={_utc(marks.expires):%Y-%m-%d}" if marks.expires else "",
        f"exempt={','.join(marks.exempt)}" if marks.exempt else "",
        f"by={marks.by}" if marks.by else "",
        f"at={_utc(marks.at):%Y-%m-%dT%H:%M:%SZ}" if marks.at else "",
        f"state={marks.state.value}" if marks.state else "",
        marks.note,
    ]
    return " ".join(filter(None, words))


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
