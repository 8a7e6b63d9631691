"""`gatepost replay`: decide recorded mail again under another configuration."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import click
import msgspec

from gatepost.checks.replay.findings import Findings
from gatepost.checks.replay.listing import lines
from gatepost.checks.replay.run import Replay
from gatepost.checks.scratch import progress, scratch
from gatepost.cli.shared.ledger_files import open_ledger
from gatepost.cli.shared.moments import end_of_period
from gatepost.cli.shared.output import Failure, print_line
from gatepost.cli.shared.period_bar import period_bar
from gatepost.cli.shared.record_options import record_options, selection_of
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.cli.shared.styled import print_text
from gatepost.config.schema import Config
from gatepost.ledger.records import Record
from gatepost.ledger.words.plain_json import json_text
from gatepost.log.os_error import describe_os_error
from gatepost.log.setup import configure_command_log
from gatepost.plugin.host import PluginError
from gatepost.session.assemble import SetupError


@click.command("replay", epilog="Example: gatepost replay --since 7d -c new.toml")
@record_options("7d")
@click.option(
    "--ledger",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder of the records. Default: data_dir/ledger of the configuration.",
)
@click.option(
    "--limit", type=click.IntRange(1), help="Play at most this many records, the oldest ones."
)
@config_option
@json_option
def command(
    *,
    folder: Path | None,
    limit: int | None,
    file: Path,
    as_json: bool,
    since: float,
    until: float | None,
    **parties: Any,
) -> None:
    """Decide recorded mail again under a configuration, in memory, and print what would change.

    Nothing is delivered, and DNS, next hops and the network are not asked. Messages were not kept,
    so rules about their content are not asked either. Plugins run, but with an empty store.
    """
    end = end_of_period(since, until)
    kinds = ("connection", "transaction")
    selection = selection_of(since=since, until=until, kinds=kinds, **parties)
    config = read_config(file)
    configure_command_log("critical")
    with open_ledger(config, folder) as reader:
        records = islice(reader.select(selection, oldest_first=True), limit)
        found = _run(config, records, since, end)
    if as_json:
        print_text([json_text(msgspec.to_builtins(found))])
    else:
        for line in lines(found):
            print_line(line)


def _run(config: Config, records: Iterable[Record], since: float, until: float) -> Findings:
    """Return what was found; an interrupt ends the replay, and what was found counts."""
    paths = [config.path(name) for name in config.traps.lists]
    try:
        with scratch(config) as usable, progress(paths), period_bar("replay", since, until) as show:
            replay = Replay(usable, show)
            with suppress(KeyboardInterrupt):
                asyncio.run(replay.run(records))
            return replay.findings
    except (SetupError, PluginError) as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(describe_os_error(error)) from error
