"""An entry: what is allowed until when, who has allowed it and why. A change of an entry.

An entry has an end at most LONGEST after its beginning, a note and an author: nothing is allowed
for ever, and the next administrator can see why. Times are in seconds since 1970.
"""

from datetime import UTC, datetime
from typing import Literal, TypeAlias

import msgspec

from gatepost.allow.subject import Subject, parse_subject
from gatepost.config.units import UnitError, parse_duration

DAY = 86400.0
LONGEST = 366 * DAY
LONGEST_NOTE, LONGEST_AUTHOR = 400, 200

Kind: TypeAlias = Literal["added", "changed", "removed", "expired"]


class EntryError(ValueError):
    """An entry that is not possible; the message has what was expected."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag="entry"):
    """`what` is the text of a subject. With `traps` the entry also takes the effect from traps."""

    what: str
    until: float
    at: float
    by: str
    note: str
    traps: bool = False

    @property
    def subject(self) -> Subject:
        """The subject; raises `SubjectError`."""
        return parse_subject(self.what)

    def __str__(self) -> str:
        traps = ", traps too" if self.traps else ""
        return f"{self.what} until {moment(self.until)} by {self.by}{traps}: {self.note}"


class Change(msgspec.Struct, frozen=True, tag_field="line", tag="change"):
    """A change that is not in the ledger yet: its kind, the entry, the author, the time."""

    kind: Kind
    entry: Entry
    by: str
    at: float


def make_entry(
    subject: Subject, *, now: float, until: float, by: str, note: str, traps: bool
) -> Entry:
    """Return a new entry; raises `EntryError`."""
    if until <= now:
        raise EntryError(f"until: expected a time after now, found {moment(until)}")
    if until - now > LONGEST:
        raise EntryError(f"until: expected at most a year from now, found {moment(until)}")
    if traps and str(subject).startswith("to:"):
        raise EntryError("traps: expected a client, a domain or a sender, found a recipient")
    words = note.strip()
    if not words or len(words) > LONGEST_NOTE or not words.isprintable():
        raise EntryError(f"note: expected a reason on one line, of 1 to {LONGEST_NOTE} characters")
    author = by.strip()[:LONGEST_AUTHOR]
    return Entry(str(subject), float(int(until)), float(int(now)), author, words, traps)


def parse_end(text: str, now: float) -> float:
    """Return a time to come: a date (local), or "30d" from now. Raises `EntryError`."""
    try:
        found = _end(text.strip(), now)
    except (UnitError, ValueError, OverflowError, OSError):
        found = 0.0
    if found <= now:
        expected = 'a date to come such as "2027-06-30", or a time from now such as "30d"'
        raise EntryError(f"expected {expected}, found {text[:80]!r}")
    return found


def _end(text: str, now: float) -> float:
    if "-" in text:
        return datetime.fromisoformat(text).astimezone().timestamp()
    return 0.0 if text.isdigit() else now + parse_duration(text)


def moment(time: float) -> str:
    """Return a time as an entry has it, in UTC."""
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return f"{time:g}"
