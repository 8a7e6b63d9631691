"""Files that were set aside: their names say what has become of them.

`1.db` that is damaged gives way to a new one and is called `1.db.salvage-MOMENT` until all that can
be read of it is there, and `1.db.damaged-MOMENT.COUNT-unreadable` from then on. Whoever owns `1.db`
(`folder`) has those of its number to look after; nobody else touches them.

A file is renamed before what is beside it. So if that is interrupted there is no `1.db`,
and whatever is beside its name belongs to the file set aside last (`complete`).
"""

import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gatepost.disk.durable import sync_folder

# What SQLite has beside a file, and our own journal.
JOURNAL = "-log"
BESIDE = ("-wal", "-shm", "-journal", JOURNAL)

# Earlier versions did not count; what they had set aside was not taken up again.
_NAME = re.compile(
    r"(?P<file>[1-9][0-9]{0,8}\.db)\.(?P<state>salvage|damaged)-(?P<moment>[0-9T]+(?:\.[0-9]{6})?)"
    r"(?:\.(?P<count>[0-9]+)-unreadable)?"
)


class CorruptFiles(NamedTuple):
    """A file set aside: which it was, whether it is done with, what could not be read if known."""

    path: Path
    file: Path
    done: bool
    unreadable: int | None


def beside(path: Path) -> list[Path]:
    """Return the names of the files that are beside one."""
    return [path.with_name(path.name + ending) for ending in BESIDE]


def journal_of(path: Path) -> Path:
    """Return the name of the journal beside a file."""
    return path.with_name(path.name + JOURNAL)


def set_aside(path: Path, moment: str) -> Path:
    """Rename a damaged file, and what is beside it.

    Raises OSError, and then has renamed nothing.
    """
    place = path.with_name(f"{path.name}.salvage-{moment}")
    try:
        with suppress(FileNotFoundError):
            path.rename(place)
        sync_folder(path.parent)
        _rename_beside(path, place)
    except OSError:
        with suppress(OSError):
            _rename_all(place, path)
        raise
    return place


def bring_back(place: Path, path: Path) -> None:
    """Undo `set_aside`, and forget what has been begun in place of the file; raises OSError."""
    for begun in (path, *beside(path)):
        begun.unlink(missing_ok=True)
    _rename_all(place, path)


def complete(path: Path) -> None:
    """Go on where setting a file aside was interrupted; raises OSError."""
    places = [] if path.exists() else unfinished(path)
    if places:
        _rename_beside(path, places[-1])


def finish(place: Path, unreadable: int) -> Path:
    """Give a file, which is closed, the name of one that is done with; raises OSError."""
    found = _NAME.fullmatch(place.name)
    assert found is not None
    name = f"{found['file']}.damaged-{found['moment']}.{unreadable}-unreadable"
    done = place.with_name(name)
    _rename_all(place, done)
    return done


def unfinished(path: Path) -> list[Path]:
    """Return what was set aside of a file and is not done with, the oldest first."""
    return [one.path for one in all_aside(path.parent) if one.file == path and not one.done]


def all_aside(folder: Path) -> list[CorruptFiles]:
    """Return the files of a folder that were set aside, the oldest first; raises OSError."""
    with suppress(FileNotFoundError):
        found = filter(None, (_NAME.fullmatch(path.name) for path in folder.iterdir()))
        names = sorted(found, key=lambda one: (one["moment"], one.string))
        return [
            CorruptFiles(
                folder / one.string,
                folder / one["file"],
                one["state"] == "damaged",
                None if one["count"] is None else int(one["count"]),
            )
            for one in names
        ]
    return []


def _rename_all(path: Path, place: Path) -> None:
    _rename_beside(path, place)
    with suppress(FileNotFoundError):
        path.rename(place)
    sync_folder(path.parent)


def _rename_beside(path: Path, place: Path) -> None:
    for old, new in zip(beside(path), beside(place), strict=True):
        with suppress(FileNotFoundError):
            old.rename(new)
    sync_folder(path.parent)
