"""`gatepost explain`: what happened to a message or a connection, and why."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gatepost.cli.shared.ledger_files import open_ledger, recent_refs, recorded_form
from gatepost.cli.shared.output import Failure, WrongUsage
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.cli.shared.styled import (
    MOST_COLUMNS,
    has_colours,
    no_colour_option,
    print_styled,
    print_text,
    terminal_width,
)
from gatepost.ledger.lookup import complete, look_up
from gatepost.ledger.records import to_dict
from gatepost.ledger.store import LedgerReader
from gatepost.ledger.words.explain import explain
from gatepost.ledger.words.fitting import plain
from gatepost.ledger.words.listing import Listing
from gatepost.ledger.words.plain_json import json_text
from gatepost.ledger.words.search import SearchError
from gatepost.ledger.words.story import Story
from gatepost.ledger.words.wording import FULL, counted, moment

USUAL_WIDTH = 80


@click.command(epilog="Example: gatepost explain ebebdad2-1.1")
@click.argument("text", nargs=-1, required=True, metavar="WHAT...", shell_complete=recent_refs)
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="List at most this many messages and connections.",
)
@config_option
@json_option
@no_colour_option
def command(text: Sequence[str], *, limit: int, file: Path, as_json: bool, no_colour: bool) -> None:
    """Explain what happened to a message or a connection, and why.

    WHAT is a reference, a whole reply that contains one, a Message-ID, an address, a domain, an IP
    address or a network. If it matches several, they are listed, newest first.
    """
    words = " ".join(text)
    config = read_config(file)
    with open_ledger(config) as reader:
        try:
            found = look_up(reader, words, limit, recorded_form(config))
        except SearchError as error:
            raise WrongUsage(str(error)) from error
        if not found:
            raise Failure(f"no record of {words[:MOST_COLUMNS]}: {_searched(reader)}")
        if as_json:
            print_text([json_text([_as_data(complete(reader, one)) for one in found])])
        elif len(found) == 1:
            width = min(terminal_width() or USUAL_WIDTH, MOST_COLUMNS)
            print_styled(explain(found[0], width), colours=has_colours(no_colour=no_colour))
        else:
            _print_list(found, limit, colours=has_colours(no_colour=no_colour))


def _searched(reader: LedgerReader) -> str:
    """Return what the ledger has, for the error that nothing was found."""
    count, oldest = reader.extent()
    if not count:
        return "the ledger is empty"
    return f"the ledger has {counted(count, 'record')} since {moment(oldest, FULL)}"


def _print_list(found: Sequence[Story], limit: int, *, colours: bool) -> None:
    records = [one.main for one in found]
    listing = Listing(records, terminal_width(), time.time())
    print_styled(map(listing.line, records), colours=colours)
    print_text(["", "To see one: gatepost explain REFERENCE"])
    if len(found) == limit:
        print_text([f"There may be more: use a higher --limit than {limit}"])


def _as_data(story: Story) -> dict[str, Any]:
    lines = [plain(line).rstrip() for line in explain(story)]
    return {
        "ref": story.ref,
        "records": list(map(to_dict, story.records)),
        "explanation": lines,
    }
