"""The entries of `gatepost allow` for commands: errors, completion, suggestions."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

import click

from gatepost.allow.entry import Entry
from gatepost.allow.file import AllowError, read_entries
from gatepost.cli.shared.output import Failure
from gatepost.cli.shared.settings import DEFAULT_FILE, read_config
from gatepost.config.schema import Config
from gatepost.log.os_error import describe_os_error


@contextmanager
def changes(config: Config) -> Iterator[None]:
    """Turn errors of the file into a failure of the command."""
    try:
        yield
    except AllowError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"{config.data_dir}: {describe_os_error(error)}") from error


def entry_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return what is allowed, for the completion in a shell; nothing if it cannot be read."""
    try:
        config = read_config(ctx.params.get("file") or DEFAULT_FILE)
        with changes(config):
            found = read_entries(config.data_dir, time.time())
    except click.ClickException:
        return []
    return sorted(one.what for one in found if one.what.startswith(incomplete))


def nearest(what: str, entries: Sequence[Entry]) -> str:
    """Return a suggestion for a subject without an entry, "" without one."""
    found = get_close_matches(what, [one.what for one in entries], 1)
    return f": did you mean {found[0]}?" if found else ""
