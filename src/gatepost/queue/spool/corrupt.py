"""Damaged spool files: they are renamed, and the name has their state.

A damaged `1.db` is renamed to `1.db.salvage-TIME` until its readable messages are recovered, then
to `1.db.damaged-TIME.COUNT-unreadable`. A new file takes the old name. The owner of `1.db`
(`folder`) also owns the damaged files of that number; no other process touches them.

A file is renamed before its companions (WAL, journal). If this is interrupted there is no `1.db`,
and any companions belong to the damaged file that was renamed last (`finish_renaming`).
"""

import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gatepost.disk.durable import sync_folder

# The files that SQLite keeps next to a database, and our own journal.
JOURNAL = "-log"
COMPANIONS = ("-wal", "-shm", "-journal", JOURNAL)

# Earlier versions had no count; their files are not recovered.
_NAME = re.compile(
    r"(?P<file>[1-9][0-9]{0,8}\.db)\.(?P<state>salvage|damaged)-(?P<moment>[0-9T]+(?:\.[0-9]{6})?)"
    r"(?:\.(?P<count>[0-9]+)-unreadable)?"
)


class CorruptFile(NamedTuple):
    """A damaged file: its path, its original path, and the state of its recovery.

    `unreadable` is the number of incomplete messages, or None if it is unknown.
    """

    path: Path
    original: Path
    is_recovered: bool
    unreadable: int | None


def companions(path: Path) -> list[Path]:
    """Return the paths of the companions of a spool file."""
    return [path.with_name(path.name + ending) for ending in COMPANIONS]


def journal_of(path: Path) -> Path:
    """Return the path of the journal of a spool file."""
    return path.with_name(path.name + JOURNAL)


def rename_damaged(path: Path, moment: str) -> Path:
    """Rename a damaged file and its companions; return the new path.

    Raises OSError, and then all names are as before.
    """
    renamed = path.with_name(f"{path.name}.salvage-{moment}")
    try:
        with suppress(FileNotFoundError):
            path.rename(renamed)
        sync_folder(path.parent)
        _rename_companions(path, renamed)
    except OSError:
        with suppress(OSError):
            _rename_all(renamed, path)
        raise
    return renamed


def undo_rename(renamed: Path, path: Path) -> None:
    """Undo `rename_damaged`, and remove the files that replaced the old ones; raises OSError."""
    for created in (path, *companions(path)):
        created.unlink(missing_ok=True)
    _rename_all(renamed, path)


def finish_renaming(path: Path) -> None:
    """Finish a renaming that was interrupted; raises OSError."""
    renamed = [] if path.exists() else unrecovered(path)
    if renamed:
        _rename_companions(path, renamed[-1])


def mark_recovered(damaged: Path, unreadable: int) -> Path:
    """Rename a closed file whose recovery is complete; raises OSError."""
    found = _NAME.fullmatch(damaged.name)
    assert found is not None
    name = f"{found['file']}.damaged-{found['moment']}.{unreadable}-unreadable"
    recovered = damaged.with_name(name)
    _rename_all(damaged, recovered)
    return recovered


def unrecovered(path: Path) -> list[Path]:
    """Return the damaged files of a spool file that are not recovered yet, the oldest first."""
    return [
        one.path
        for one in corrupt_files(path.parent)
        if one.original == path and not one.is_recovered
    ]


def corrupt_files(folder: Path) -> list[CorruptFile]:
    """Return the damaged files of a folder, the oldest first; raises OSError."""
    with suppress(FileNotFoundError):
        found = filter(None, (_NAME.fullmatch(path.name) for path in folder.iterdir()))
        names = sorted(found, key=lambda one: (one["moment"], one.string))
        return [
            CorruptFile(
                folder / one.string,
                folder / one["file"],
                one["state"] == "damaged",
                None if one["count"] is None else int(one["count"]),
            )
            for one in names
        ]
    return []


def _rename_all(path: Path, renamed: Path) -> None:
    _rename_companions(path, renamed)
    with suppress(FileNotFoundError):
        path.rename(renamed)
    sync_folder(path.parent)


def _rename_companions(path: Path, renamed: Path) -> None:
    for old, new in zip(companions(path), companions(renamed), strict=True):
        with suppress(FileNotFoundError):
            old.rename(new)
    sync_folder(path.parent)
