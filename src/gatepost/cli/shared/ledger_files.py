"""The ledger of a configuration, opened for reading."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from gatepost.cli.shared.output import Failure, print_error
from gatepost.cli.shared.settings import DEFAULT_FILE, read_config
from gatepost.config.schema import Config
from gatepost.ledger import privacy
from gatepost.ledger.records import SERVER, Connection, Transaction
from gatepost.ledger.selection import Selection
from gatepost.ledger.store import LedgerError, LedgerReader
from gatepost.ledger.words.reasons import all_reasons

# Records that are read to complete a value in the shell.
RECENT = 200
_IS_WORD = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*").fullmatch


@contextmanager
def open_ledger(config: Config, folder: Path | None = None) -> Iterator[LedgerReader]:
    """Yield a reader of the configuration's ledger, or of the one in `folder`.

    Raises `Failure` if there is no ledger or it cannot be read.

    Files that were skipped are reported at the end.
    """
    try:
        reader = LedgerReader(folder or config.data_dir / "ledger")
    except LedgerError as error:
        hint = (
            []
            if folder or config.ledger.enabled
            else ["ledger.enabled is false in the configuration"]
        )
        raise Failure(str(error), *hint) from error
    try:
        yield reader
    except LedgerError as error:
        raise Failure(str(error)) from error
    finally:
        reader.close()
        for problem in reader.problems:
            print_error(f"warning: {problem}")


def recorded_form(config: Config) -> Callable[[str], str]:
    """Return a function for addresses: as records have them if `ledger.privacy` hides them."""
    return privacy.recorded_form(
        config.data_dir / "ledger", hidden="addresses" in config.ledger.privacy
    )


Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def completes(values: Callable[[Connection | Transaction], list[str]]) -> Completer:
    """Return a function for the shell's completion: these values of recent records.

    It returns nothing if there is no ledger or no valid configuration.

    Security: the shell puts a value into the command line as it is, so only plain words are
    offered.
    """

    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        found: dict[str, None] = {}
        with suppress(Exception):
            for record in _recent(ctx.params.get("file") or DEFAULT_FILE):
                found.update(dict.fromkeys(values(record)))
        return [one for one in found if one.startswith(incomplete) and _IS_WORD(one)]

    return complete


def _recent(file: Any) -> list[Connection | Transaction]:
    reader = LedgerReader(read_config(file).data_dir / "ledger")
    try:
        selection = Selection(kinds=("transaction", "connection"))
        found = reader.select(selection, limit=RECENT)
        return [one for one in found if isinstance(one, Connection | Transaction)]
    finally:
        reader.close()


def _refs(record: Connection | Transaction) -> list[str]:
    return [record.ref]


def _reasons(record: Connection | Transaction) -> list[str]:
    return [one.reason for one in record.answers if one.reason] + all_reasons()


def _plugins(record: Connection | Transaction) -> list[str]:
    return [one.by for one in record.answers if one.by not in SERVER]


recent_refs = completes(_refs)
reasons = completes(_reasons)
plugins = completes(_plugins)
