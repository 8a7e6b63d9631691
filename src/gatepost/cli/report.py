"""`gatepost report`: what happened in a period, in numbers."""

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import click

from gatepost.cli.shared.ledger_files import open_ledger
from gatepost.cli.shared.moments import Moment, end_of_period
from gatepost.cli.shared.output import WrongUsage, print_error
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.cli.shared.styled import (
    MOST_COLUMNS,
    has_colours,
    no_colour_option,
    print_styled,
    print_text,
    terminal_width,
)
from gatepost.ledger.words.html import as_html
from gatepost.ledger.words.plain_json import json_text
from gatepost.ledger.words.report import QueueDepth, report
from gatepost.ledger.words.sections import WIDTH, as_data, as_text
from gatepost.queue.spool import admin
from gatepost.queue.spool.sql.schema import VersionError


@click.command("report", epilog="Example: gatepost report --since yesterday --until today")
@click.option(
    "--since", type=Moment(), default="1d", show_default=True, metavar="TIME", help="The start."
)
@click.option("--until", type=Moment(), metavar="TIME", help="The end. Default: now.")
@click.option(
    "--top",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="List at most this many senders, recipients and others.",
)
@click.option("--html", "html", is_flag=True, help="Print an HTML document, to be sent by mail.")
@config_option
@json_option
@no_colour_option
def command(
    *,
    since: float,
    until: float | None,
    top: int,
    html: bool,
    file: Path,
    as_json: bool,
    no_colour: bool,
) -> None:
    """Print how much mail came, what was refused and why, the largest senders, and the queue.

    Times are rounded to full hours.
    """
    if html and as_json:
        raise WrongUsage("expected --html or --json, not both")
    end = end_of_period(since, until)
    config = read_config(file)
    with open_ledger(config) as reader:
        totals = reader.totals(since, end)
    found = report(totals, _depths(config.data_dir / "spool"), top)
    if as_json:
        print_text([json_text(as_data(found))])
    elif html:
        print_text(as_html(found))
    else:
        width = min(terminal_width() or WIDTH, MOST_COLUMNS)
        print_styled(as_text(found, width), colours=has_colours(no_colour=no_colour))


def _depths(spool: Path) -> Sequence[QueueDepth]:
    """Return the depth of the queue; a spool that cannot be read is only reported."""
    try:
        found = admin.depth(spool, time.time()).destinations
    except (sqlite3.Error, OSError, VersionError) as error:
        print_error(f"warning: the queue is not in the report: cannot access the spool: {error}")
        return []
    return [QueueDepth(one.destination, one.active + one.deferred, one.held) for one in found]
