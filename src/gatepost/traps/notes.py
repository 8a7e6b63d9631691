"""The class of a trap in its list: words at the beginning of the note of an entry.

    old-sales@example.com  class=recycled  left in 2019
    info@example.com       class=seeded spoil=yes  hidden on the contact page

`class=` names one of LISTED. `spoil=yes` lets a guessable trap refuse messages (`guessable`). Each
word may occur once, in any order, in lower case; the first other word begins the note.

An entry without a class is pristine. So is one with a class that does not exist, such as a note of
an earlier version that begins with "class=1999": its words are a note, and `doubt` reports it.
"""

import re

import msgspec

from gatepost.traps.verdicts import TrapClass

# The classes that an entry can have: all but the rule that needs no entry.
LISTED = {one.value: one for one in TrapClass if one is not TrapClass.VIRTUAL}

_WORD = re.compile(r"(class|spoil)=([^\s=]+)(?:\s+|$)")
_LIKE_A_WORD = re.compile(r"(?:class|spoil)\s*[=:]\s*\S*", re.IGNORECASE)


class Marks(msgspec.Struct, frozen=True):
    """The words in the note of a trap; `trap_class` is None without a class.

    `spoils` is whether `spoil=yes` is there, `note` the rest.
    """

    trap_class: TrapClass | None = None
    spoils: bool = False
    note: str = ""


def read_marks(note: str) -> Marks:
    """Return the class in the note of an entry, and the rest of the note."""
    trap_class, spoils, at = None, False, 0
    while word := _WORD.match(note, at):
        name, value = word[1], word[2]
        if name == "class" and trap_class is None and value in LISTED:
            trap_class = LISTED[value]
        elif name == "spoil" and not spoils and value == "yes":
            spoils = True
        else:
            break
        at = word.end()
    return Marks(trap_class, spoils, note[at:])


def doubt(note: str) -> str:
    """Return the word at the beginning of a note that was probably meant as one of these, or ""."""
    word = _LIKE_A_WORD.match(read_marks(note).note)
    return "" if word is None else word[0]


def with_marks(note: str, trap_class: str = "", *, spoils: bool = False) -> str:
    """Return a note with the words in front of it; "" is no class."""
    words = [f"class={trap_class}"] if trap_class else []
    words += ["spoil=yes"] if spoils else []
    return " ".join([*words, note]) if note else " ".join(words)
