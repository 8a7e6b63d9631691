"""Lines with colours, for commands that print the ledger.

Colours are used on a terminal only, and not with --no-color, NO_COLOR (no-color.org) or TERM=dumb.
They are the terminal's own, so that they are readable on a light and on a dark background.
"""

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import click

from gatepost.ledger.words.fitting import Line, Part

MOST_COLUMNS = 100
_GOOD, _BAD, _LATER, _QUIET = (
    {"fg": "green"},
    {"fg": "red"},
    {"fg": "magenta"},
    {"dim": True},
)
_STYLES: Mapping[str, Mapping[str, Any]] = {
    "heading": {"bold": True},
    "accepted": _GOOD,
    "delivered": _GOOD,
    "refused": _BAD,
    "bounced": _BAD,
    "held": _BAD,
    "damaged": _BAD,
    "missing": _BAD,
    "deferred": _LATER,
    "abandoned": _QUIET,
    "connected": _QUIET,
    "notice": _QUIET,
}

no_colour_option = click.option(
    "--no-color", "no_colour", is_flag=True, help="Print no colours on a terminal."
)


def terminal_width() -> int | None:
    """Return the columns of the terminal, None if standard output is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def has_colours(*, no_colour: bool) -> bool:
    """Return whether to print colours."""
    is_dumb = os.environ.get("TERM") == "dumb" or os.environ.get("NO_COLOR", "") != ""
    return sys.stdout.isatty() and not (no_colour or is_dumb)


def print_styled(lines: Iterable[Line], *, colours: bool) -> None:
    """Write lines to standard output."""
    for line in lines:
        click.echo("".join(_styled(part) if colours else part.text for part in line).rstrip())


def print_text(lines: Iterable[str]) -> None:
    """Write lines that are safe already, such as JSON of records, to standard output."""
    for line in lines:
        click.echo(line)


def _styled(part: Part) -> str:
    style = _STYLES.get(part.style)
    return part.text if style is None or not part.text else click.style(part.text, **style)
