"""Changes of `gatepost queue`: what is selected is changed, or listed with `--dry-run`."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gatepost.cli.shared.author import author
from gatepost.cli.shared.output import Failure, WrongUsage, print_json, print_line
from gatepost.cli.shared.queue_listing import as_data, print_list
from gatepost.cli.shared.queue_options import selection, spool_errors, spool_folder
from gatepost.cli.shared.settings import read_config
from gatepost.config.schema import Config
from gatepost.queue.spool import admin
from gatepost.queue.spool.admin import QueueEntry, Selection
from gatepost.queue.spool.changes import QueueChange

NO_LIMIT = 1 << 62
PROGRESS_INTERVAL = 1.0  # seconds


class Chosen(NamedTuple):
    """The recipients that a command is to change, and the configuration."""

    config: Config
    selection: Selection
    as_json: bool
    dry_run: bool

    @property
    def folder(self) -> Path:
        """The folder of the spool."""
        return spool_folder(self.config)


def chosen(
    *, file: Path, as_json: bool, everything: bool, dry_run: bool, **conditions: Any
) -> Chosen:
    """Return what the options choose; raises `WrongUsage` for all mail without --all."""
    found = selection(**conditions)
    if found.is_everything != everything:
        raise WrongUsage("expected messages, options that select some, or only --all")
    return Chosen(read_config(file), found, as_json, dry_run)


def change(one: Chosen, what: QueueChange, done: str, detail: str = "") -> None:
    """Change what is chosen, and print the number of recipients; or list them only."""
    if one.dry_run:
        print_chosen(one, what)
        return
    count = apply_changes(one, one.selection, what, detail)
    if one.as_json:
        print_json({"recipients": count})
    else:
        print_line(f"{count} {'recipient' if count == 1 else 'recipients'} {done}")
    fail_if_none(one, count)


def apply_changes(one: Chosen, selected: Selection, what: QueueChange, detail: str = "") -> int:
    """Change recipients; return how many."""
    expires = time.time() + one.config.queue.expire
    with spool_errors():
        return _sum(
            admin.apply(one.folder, selected, what, expires, author=author(), detail=detail)
        )


def print_chosen(one: Chosen, what: QueueChange) -> None:
    """List what a change would change."""
    found = possible(one, what)
    if one.as_json:
        print_json([as_data(entry) for entry in found])
    elif found:
        print_list(found)
    else:
        print_line("No matching mail")


def possible(one: Chosen, what: QueueChange) -> list[QueueEntry]:
    """Return the recipients that are chosen and can be changed."""
    with spool_errors():
        return list(admin.entries(one.folder, one.selection, NO_LIMIT, change=what))


def fail_if_none(one: Chosen, count: int) -> None:
    """Raise `Failure` if messages were named and none of them could be changed."""
    if one.selection.names and not count:
        raise Failure(f"{', '.join(one.selection.names)}: no such message, or not in that state")


def _sum(counts: Iterator[int]) -> int:
    """Return the sum; on a terminal, print the progress of a long change."""
    total, shown = 0, time.monotonic()
    for count in counts:
        total += count
        if sys.stderr.isatty() and time.monotonic() >= shown + PROGRESS_INTERVAL:
            shown = time.monotonic()
            sys.stderr.write(f"\rgatepost: {total:,} recipients so far")
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    return total
