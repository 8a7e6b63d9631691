"""The options of `gatepost queue` that select recipients, and its errors."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from gatepost.cli.shared.output import Failure, WrongUsage
from gatepost.cli.shared.settings import config_option, json_option
from gatepost.config.schema import Config
from gatepost.config.units import UnitError, parse_duration
from gatepost.queue.spool.admin import Selection
from gatepost.queue.spool.sql.content import DamagedContentError
from gatepost.queue.spool.sql.schema import VersionError

_OPTIONS = (
    click.argument("names", nargs=-1, metavar="[MESSAGE]..."),
    click.option("--destination", metavar="NAME", help="Select recipients at this next hop."),
    click.option(
        "--recipient",
        "--to",
        metavar="ADDRESS",
        help="Select this address; * matches any characters.",
    ),
    click.option(
        "--sender",
        "--from",
        metavar="ADDRESS",
        help='Select this sender; "" is the null reverse-path.',
    ),
    click.option("--state", type=click.Choice(["queued", "held"]), help="Select this state."),
    click.option("--held", is_flag=True, help="The same as --state held."),
    click.option("--reason", metavar="TEXT", help="Select this reason; * as for --recipient."),
    click.option(
        "--plugin", metavar="NAME", help="Select messages in quarantine because of this plugin."
    ),
    click.option(
        "--older", metavar="DURATION", help='Select what has been held longer, such as "7d".'
    ),
    config_option,
    json_option,
)

all_option = click.option("--all", "everything", is_flag=True, help="Select all mail.")
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="List what would be changed, and change nothing."
)


def with_selection(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select recipients."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def selection(
    *, held: bool = False, state: str | None = None, older: str | None = None, **conditions: Any
) -> Selection:
    """Return what the options select; raises `WrongUsage`."""
    if held and state == "queued":
        raise WrongUsage("expected --held or --state queued")
    return Selection(state="held" if held else state, before=_before(older), **conditions)


def _before(older: str | None) -> float | None:
    if older is None:
        return None
    try:
        return time.time() - parse_duration(older)
    except UnitError as error:
        raise WrongUsage(f"--older: {error}") from error


def spool_folder(config: Config) -> Path:
    """Return the folder of the spool files."""
    return config.data_dir / "spool"


@contextmanager
def spool_errors() -> Iterator[None]:
    """Turn errors of the spool into a failure of the command."""
    try:
        yield
    except DamagedContentError as error:
        raise Failure(f"damaged: {error}") from error
    except (sqlite3.Error, OSError, VersionError) as error:
        notes = "".join(f": {note}" for note in getattr(error, "__notes__", ()))
        raise Failure(f"cannot access the spool{notes}: {error}") from error
