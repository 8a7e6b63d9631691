"""Changes of what `gatepost allow` allows, for pages and the API.

Security: only administrators without a limit to domains make them, as an entry is about all mail of
a sender. The server does not record these changes again: the audit has them with the client.
"""

from datetime import date
from pathlib import Path
from typing import NamedTuple

from gatepost.allow.entry import DAY, Entry, EntryError, make_entry, parse_end
from gatepost.allow.file import put, read_entries, remove
from gatepost.allow.subject import Subject, SubjectError, parse_subject
from gatepost.web.changes import ChangeError

PATH = "/allow"
# The choices of a page, in days.
DAYS = (7, 30, 90)


class Requested(NamedTuple):
    """An entry as a form or a request has it; `until` is a time from now, or a date."""

    what: str
    until: str
    note: str
    traps: bool = False
    force: bool = False


def subject_of(text: str) -> Subject:
    """Return a subject; raises `ChangeError`."""
    try:
        return parse_subject(text)
    except SubjectError as error:
        raise ChangeError(str(error)) from error


def allow(folder: Path, requested: Requested, by: str, now: float) -> tuple[Entry, Entry | None]:
    """Write an entry; return it and the one that it replaces.

    Raises `ChangeError`, `AllowError` and OSError.
    """
    subject = subject_of(requested.what)
    objections = [] if requested.force else list(subject.objections())
    if objections:
        raise ChangeError("; ".join(objections))
    try:
        until = parse_end(requested.until, now)
        entry = make_entry(
            subject, now=now, until=until, by=by, note=requested.note, traps=requested.traps
        )
    except EntryError as error:
        raise ChangeError(str(error)) from error
    return entry, put(folder, entry, pending=False)


def end(folder: Path, what: str, by: str, now: float) -> Entry:
    """Remove an entry and return it; raises as `allow`."""
    subject = subject_of(what)
    removed = remove(folder, str(subject), by=by, now=now, pending=False)
    if removed is None:
        raise ChangeError(f"{subject} is not allowed: another administrator may have removed it")
    return removed


def entry_of(folder: Path, what: str, now: float) -> Entry | None:
    """Return the entry of a subject in canonical form; raises `AllowError`."""
    return next((one for one in read_entries(folder, now) if one.what == what), None)


def last_day(now: float) -> str:
    """Return the last date that an end may have."""
    return date.fromtimestamp(now + 365 * DAY).isoformat()  # noqa: DTZ012 - a date of the server
