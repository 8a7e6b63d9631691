"""The folder of a draft, written whole or not at all.

It is made next to its place under another name, and renamed when it is complete. Existing files are
never replaced: the place must not exist, or be an empty folder.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from gatepost.lists.entry import LineError
from gatepost.migration.draft import Draft, ListFile
from gatepost.migration.finish import add_missing
from gatepost.migration.validation import drop_invalid

CONFIG = "gatepost.toml"
_PRIVATE, _PUBLIC = 0o600, 0o666


class TakenError(ValueError):
    """The place of the folder is taken."""


def check_free(folder: Path) -> None:
    """Raise `TakenError` unless the folder is empty or does not exist."""
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise TakenError(f"{folder}: expected a folder that is empty or does not exist yet")


def rehearse(draft: Draft) -> None:
    """Do all that `write` does in a temporary folder, so that the findings are complete."""
    with TemporaryDirectory(prefix="gatepost-") as folder:
        _fill(draft, Path(folder), "")


def write(draft: Draft, folder: Path, title: str) -> None:
    """Write the folder; raises OSError, and `TakenError`, and then leaves nothing behind."""
    check_free(folder)
    with _new_folder(folder) as made:
        _fill(draft, made, title)


def _fill(draft: Draft, made: Path, title: str) -> None:
    for one in draft.lists:
        with (made / one.name).open("x", encoding="utf-8") as file:
            file.write(f"# from {one.place}\n")
            write_list(draft, one, file)
    for name, text in draft.texts.items():
        (made / name).touch(_PRIVATE if name in draft.private else _PUBLIC)
        (made / name).write_text(text, "utf-8")
    drop_invalid(draft, made)
    add_missing(draft)
    (made / CONFIG).write_text(f"# {title}\n\n{draft.text()}", "utf-8")


def write_list(draft: Draft, one: ListFile, file: TextIO) -> None:
    """Write the entries of a list; wrong lines become findings."""
    count = 0
    for line in one.lines():
        try:
            entry = one.convert(line)
        except LineError as error:
            draft.findings.bad_line(line.file, line.number, f"expected {error.expected}")
        except ValueError as error:
            draft.findings.bad_line(line.file, line.number, str(error))
        else:
            file.write(f"{entry}\n" if entry else "")
            count += bool(entry)
    draft.findings.taken(one.place, f"{one.text}: {count}, in {one.name}", one.page)


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = folder.parent / f".{folder.name}.{os.getpid()}"
    made.mkdir()
    try:
        yield made
        made.rename(folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
