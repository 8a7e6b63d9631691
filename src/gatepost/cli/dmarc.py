"""`gatepost dmarc report`: which domains failed DMARC here, and aggregate reports for them."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from gatepost.checks.dmarc.collect import Period, collect, periods
from gatepost.checks.dmarc.files import write_reports
from gatepost.checks.dmarc.listing import Listing
from gatepost.cli.shared.lazy import SuggestingGroup
from gatepost.cli.shared.ledger_files import open_ledger
from gatepost.cli.shared.moments import Moment
from gatepost.cli.shared.output import Failure, WrongUsage, print_error, print_json, print_line
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
from gatepost.ledger.words.plain_json import json_text
from gatepost.ledger.words.sections import WIDTH, as_data, as_text
from gatepost.log.os_error import describe_os_error
from gatepost.model.address import AddressError, parse_domain


@click.group(cls=SuggestingGroup, epilog="Example: gatepost dmarc report --since 7d")
def command() -> None:
    """Report the DMARC results of received mail."""


@command.command("report", epilog="Example: gatepost dmarc report --domain example.org")
@click.option("--domain", metavar="DOMAIN", help="Only this domain and its subdomains.")
@click.option(
    "--since", type=Moment(), default="yesterday", show_default=True, metavar="TIME", help="Start."
)
@click.option(
    "--until", type=Moment(), default="today", show_default=True, metavar="TIME", help="End."
)
@click.option(
    "--top",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="List at most this many domains and clients.",
)
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write aggregate reports into this folder: a file for each domain and day.",
)
@click.option(
    "--email",
    metavar="ADDRESS",
    help="The contact in the reports. Default: postmaster at server.hostname.",
)
@config_option
@json_option
@no_colour_option
def report(
    *,
    domain: str | None,
    since: float,
    until: float,
    file: Path,
    folder: Path | None,
    email: str | None,
    **output: Any,
) -> None:
    """Print which domains failed DMARC, and from where.

    The table has the domains with their policies, and the clients whose messages failed.

    With --out, write the aggregate reports of RFC 9990 for domains that request them (rua), and
    print the names of the files. Nothing is sent. The results are those of the plugin dmarc.
    """
    if until <= since:
        raise WrongUsage("--until: expected a time after --since")
    config = read_config(file)
    found = _periods(config, since, until, _domain(domain))
    if folder is None:
        _print(found, since, until, **output)
    else:
        hostname = config.server.hostname
        _write(found, folder, hostname, email or f"postmaster@{hostname}", **output)


def _domain(text: str | None) -> str:
    try:
        return parse_domain(text) if text else ""
    except AddressError as error:
        raise WrongUsage(f"--domain: {error}") from error


def _periods(config: Config, since: float, until: float, domain: str) -> Iterator[Period]:
    """Yield the results of each day; messages that were not counted are reported."""
    with open_ledger(config) as reader:
        _, oldest = reader.extent()
        for start, end in periods(since, min(until, time.time())):
            if end <= oldest:
                continue
            period = collect(reader, start, end, domain)
            if period.omitted:
                print_error(f"warning: too many different results, not counted: {period.omitted}")
            yield period


def _print(
    found: Iterator[Period],
    since: float,
    until: float,
    *,
    top: int,
    as_json: bool,
    no_colour: bool,
) -> None:
    listing = Listing()
    for period in found:
        listing.add(period)
    result = listing.report(since, until, top)
    if as_json:
        print_text([json_text(as_data(result))])
        return
    width = min(terminal_width() or WIDTH, MOST_COLUMNS)
    print_styled(as_text(result, width), colours=has_colours(no_colour=no_colour))
    if not result.sections:
        print_line("No results of DMARC")


def _write(
    found: Iterator[Period],
    folder: Path,
    hostname: str,
    email: str,
    *,
    as_json: bool,
    **_others: Any,
) -> None:
    try:
        paths = [
            str(path) for period in found for path in write_reports(folder, period, hostname, email)
        ]
    except OSError as error:
        raise Failure(describe_os_error(error)) from error
    if as_json:
        print_json({"files": paths})
        return
    for path in paths or ["No domain requests reports"]:
        print_line(path)
