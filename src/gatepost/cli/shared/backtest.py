"""`gatepost traps backtest`: what the trap rules would have done with the mail in other logs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import msgspec

from gatepost.checks.backtest.findings import Findings
from gatepost.checks.backtest.listing import report
from gatepost.checks.backtest.recipients import Directory
from gatepost.checks.backtest.run import run
from gatepost.cli.shared.log_options import (
    FILE,
    format_option,
    log_bar,
    log_option,
    more_argument,
)
from gatepost.cli.shared.output import Failure
from gatepost.cli.shared.settings import json_option
from gatepost.cli.shared.styled import (
    MOST_COLUMNS,
    has_colours,
    no_colour_option,
    print_styled,
    print_text,
    terminal_width,
)
from gatepost.importers.reading import UnknownFormatError
from gatepost.ledger.words.plain_json import json_text
from gatepost.ledger.words.sections import WIDTH, as_text
from gatepost.lists.file import ListFile
from gatepost.lists.reloadable import ListError
from gatepost.log.os_error import describe_os_error


@click.command(
    "backtest",
    epilog="Example: gatepost traps backtest --log /var/log/mail.log.1 /var/log/mail.log",
)
@more_argument
@log_option
@format_option
@click.option(
    "--traps", multiple=True, type=FILE, metavar="LIST", help="A list of traps, repeatable."
)
@click.option(
    "--known",
    type=FILE,
    metavar="FILE",
    help="A list of the addresses that exist. Default: the refusals in the log.",
)
@click.option("--days", type=click.IntRange(1), help="Report only the last days of the log.")
@click.option(
    "--top",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="List at most this many networks, senders and results.",
)
@json_option
@no_colour_option
def command(
    *,
    logs: Sequence[Path],
    more: Sequence[Path],
    name: str | None,
    traps: Sequence[Path],
    known: Path | None,
    days: int | None,
    top: int,
    as_json: bool,
    no_colour: bool,
) -> None:
    """Test trap rules on the logs of another server.

    The rules are: trap lists, many unknown recipients in one transaction, recipients that look like
    message identifiers, and the memory of the networks of these. Nothing is switched on.

    Logs of Postfix, Exim, Sendmail, qmail, qpsmtpd and Haraka are read.
    """
    paths = [*logs, *more]
    try:
        with (
            _directory(traps, known) as directory,
            log_bar("back-test", paths, 2 if days else 1) as show,
        ):
            found = run(paths, directory, name=name, days=days, top=top, progress=show)
    except (ListError, UnknownFormatError) as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(describe_os_error(error)) from error
    _print(found, as_json=as_json, no_colour=no_colour)


def _print(found: Findings, *, as_json: bool, no_colour: bool) -> None:
    if as_json:
        print_text([json_text(msgspec.to_builtins(found))])
        return
    width = min(terminal_width() or WIDTH, MOST_COLUMNS)
    print_styled(as_text(report(found), width, UTC), colours=has_colours(no_colour=no_colour))


@contextmanager
def _directory(traps: Sequence[Path], known: Path | None) -> Iterator[Directory]:
    """Yield the lists; index files of big ones are in a temporary folder."""
    with TemporaryDirectory(prefix="gatepost-") as folder:
        lists = [_loaded(path, Path(folder)) for path in traps]
        exists = _loaded(known, Path(folder)).current if known else None
        yield Directory(lists, exists)


def _loaded(path: Path, cache: Path) -> ListFile:
    found = ListFile(path, cache)
    found.load()
    return found
