"""`gatepost log`: one line for each record of the ledger, and what comes new."""

import os
import select
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import click

from gatepost.cli.shared.ledger_files import open_ledger, plugins, reasons, recorded_form
from gatepost.cli.shared.record_options import record_options, selection_of
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.cli.shared.styled import (
    has_colours,
    no_colour_option,
    print_styled,
    print_text,
    terminal_width,
)
from gatepost.ledger.records import Record, Result
from gatepost.ledger.selection import Selection
from gatepost.ledger.words.listing import Listing, entry_of, is_notable
from gatepost.ledger.words.plain_json import json_line

# Seconds between two looks for new records.
POLL = 0.5
_RESULTS: Sequence[Result] = ("accepted", "refused", "deferred")


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select records."""
    options = (
        *(
            click.option(f"--{result}", is_flag=True, help=f"Only what was {result}.")
            for result in _RESULTS
        ),
        click.option("--reason", metavar="REASON", help="This reason.", shell_complete=reasons),
        click.option(
            "--plugin", metavar="NAME", help="Opinions of this plugin.", shell_complete=plugins
        ),
    )
    for option in reversed(options):
        command = option(command)
    return record_options()(command)


@click.command("log", epilog="Example: gatepost log -f --refused")
@click.option("-f", "--follow", is_flag=True, help="Wait for more, and print it as it comes.")
@_filters
@click.option(
    "--limit",
    type=click.IntRange(0, 1_000_000),
    default=50,
    show_default=True,
    help="Print the last of them, at most this many.",
)
@click.option("--all", "everything", is_flag=True, help="Also connections without a refusal.")
@config_option
@json_option
@no_colour_option
def command(
    *,
    follow: bool,
    limit: int,
    everything: bool,
    file: Path,
    as_json: bool,
    no_colour: bool,
    **conditions: Any,
) -> None:
    """Print what the ledger has of connections, messages and deliveries, the newest last.

    A line has the time, the result, the client, the sender, the recipient and how many more there
    are, the reason, and the reference for `gatepost explain`.
    """
    results = {one for one in _RESULTS if conditions.pop(one)}
    config = read_config(file)
    for side in ("sender", "to"):
        conditions[side] = recorded_form(config)(conditions[side] or "")
    selection = _selection(results=results, **conditions)
    colours = has_colours(no_colour=no_colour)

    def is_shown(record: Record) -> bool:
        matches = not results or entry_of(record).result in results
        return matches and (everything or is_notable(record))

    with open_ledger(config) as reader, _quiet_end():
        news = reader.follow(selection)
        last = list(islice(filter(is_shown, reader.select(selection)), limit))[::-1]
        show = _printer(last, as_json=as_json, colours=colours)
        show(last)
        if follow:
            watch(_later(news, last, is_shown), show, time.sleep)


def _selection(
    *, results: Collection[Result], reason: str | None, plugin: str | None, **conditions: Any
) -> Selection:
    """Return the selection; `outcome` decides about transactions that the client abandoned."""
    return selection_of(
        results=[*results, "abandoned"] if results else [],
        reason=reason or "",
        plugin=plugin or "",
        **conditions,
    )


def _later(
    news: Callable[[], list[Record]], last: Sequence[Record], is_shown: Callable[[Record], bool]
) -> Callable[[], list[Record]]:
    """Return a function for new records; one can be among the last, which were printed."""
    printed = list(last)

    def later() -> list[Record]:
        found = [one for one in news() if one not in printed]
        printed.clear()
        return list(filter(is_shown, found))

    return later


def _printer(
    last: Sequence[Record], *, as_json: bool, colours: bool
) -> Callable[[Iterable[Record]], None]:
    """Return a function that prints records; the last ones determine the columns."""
    if as_json:
        return lambda records: print_text(map(json_line, records))
    listing = Listing(last, terminal_width(), time.time())
    return lambda records: print_styled(map(listing.line, records), colours=colours)


def watch(
    news: Callable[[], list[Record]],
    show: Callable[[Iterable[Record]], None],
    wait: Callable[[float], None],
) -> None:
    """Show what is new, and wait, until standard output is closed."""
    while not _is_closed():
        show(news())
        sys.stdout.flush()
        wait(POLL)


def _is_closed() -> bool:
    """Return whether the program that reads standard output has ended."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):  # not a file
        return False
    return bool(poll.poll(0))


@contextmanager
def _quiet_end() -> Iterator[None]:
    """End without a message when interrupted, or when standard output is closed."""
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Python flushes standard output once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
