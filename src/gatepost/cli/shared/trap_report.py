"""`gatepost traps report`: what traps stopped that no other rule did, and what they cost."""

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from gatepost.checks.known import entries
from gatepost.checks.trap_report.findings import Findings
from gatepost.checks.trap_report.listing import report
from gatepost.checks.trap_report.run import TrapReport
from gatepost.cli.shared.ledger_files import open_ledger
from gatepost.cli.shared.moments import Moment, end_of_period
from gatepost.cli.shared.output import print_error
from gatepost.cli.shared.period_bar import period_bar
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.cli.shared.styled import (
    MOST_COLUMNS,
    has_colours,
    no_colour_option,
    print_styled,
    print_text,
    terminal_width,
)
from gatepost.config.schema import Config
from gatepost.ledger.records import Transaction
from gatepost.ledger.selection import Selection
from gatepost.ledger.words.plain_json import json_text
from gatepost.ledger.words.sections import WIDTH, as_text
from gatepost.lists.entry import ListEntry
from gatepost.lists.reloadable import ListError, open_regular_file
from gatepost.log.os_error import describe_os_error
from gatepost.plugins.score import Score


@click.command("report", epilog="Example: gatepost traps report --since 30d")
@click.option(
    "--since", type=Moment(), default="7d", show_default=True, metavar="TIME", help="The start."
)
@click.option("--until", type=Moment(), metavar="TIME", help="The end. Default: now.")
@click.option(
    "--top",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="List at most this many traps, networks and senders.",
)
@config_option
@json_option
@no_colour_option
def command(
    *, since: float, until: float | None, top: int, file: Path, as_json: bool, no_colour: bool
) -> None:
    """Print what traps stopped and what they cost.

    The report has the messages that traps refused, the users among their recipients, messages of
    known senders (these are probably mistakes), marked messages, the most hit traps, and traps
    without a hit.
    """
    end = end_of_period(since, until)
    config = read_config(file)
    found = _found(config, since, end, top)
    if as_json:
        print_text([json_text(msgspec.to_builtins(found))])
        return
    width = min(terminal_width() or WIDTH, MOST_COLUMNS)
    print_styled(as_text(report(found), width), colours=has_colours(no_colour=no_colour))


def _found(config: Config, since: float, until: float, top: int) -> Findings:
    counts = TrapReport(_threshold(config), top)
    selection = Selection(since=since, until=until, kinds=("transaction",))
    with (
        open_ledger(config) as reader,
        period_bar("traps report", since, until) as show,
    ):
        for record in reader.select(selection, oldest_first=True):
            if isinstance(record, Transaction):
                counts.add(record)
            if show is not None:
                show(record.time)
    return counts.findings(since, until, _entries(config))


def _threshold(config: Config) -> float:
    """Return the points from which the plugin `score` refuses, 0 without the plugin."""
    for one in config.plugin:
        if one.use == "score":
            found = one.options.get("deny", Score.Options().deny)
            return float(found) if isinstance(found, int | float) else 0.0
    return 0.0


def _entries(config: Config) -> Iterator[ListEntry]:
    """Yield the entries of the lists; a list that cannot be read is only reported."""
    for name in config.traps.lists:
        try:
            with open_regular_file(config.path(name)) as (file, _):
                yield from entries(file, name)
        except ListError as error:
            print_error(f"warning: {error}")
        except OSError as error:
            print_error(f"warning: {describe_os_error(error)}")
