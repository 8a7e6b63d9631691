"""`gatepost dmarc report`: which domains failed DMARC here, and aggregate reports for them."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from smtplib import SMTPException
from typing import Any

import click
import msgspec

from gatepost.checks.dmarc.collect import Period, collect, periods
from gatepost.checks.dmarc.files import Written, write_reports
from gatepost.checks.dmarc.listing import Listing
from gatepost.checks.dmarc.sending import Reporter, destinations, send
from gatepost.cli.shared.lazy import SuggestingGroup
from gatepost.cli.shared.ledger_files import open_ledger
from gatepost.cli.shared.moments import Moment, end_of_period
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
from gatepost.mailauth.dmarc.destinations import Destinations
from gatepost.model.address import AddressError, parse_domain
from gatepost.session.assemble import make_resolver


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
@click.option(
    "--send",
    "via",
    metavar="HOST:PORT",
    help="Send the reports by this mail server, which must permit it. Needs --out.",
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
    via: str | None,
    **output: Any,
) -> int:
    """Print which domains failed DMARC, and from where.

    The table has the domains with their policies, and the clients whose messages failed.

    With --out, write the aggregate reports of RFC 9990 for domains that request them (rua), and
    print the names of the files. With --send too, mail each to the addresses that the domain's
    record has now; run it once a day. The exit status is 1 if a report could not be sent. The
    results are those of the plugin dmarc.
    """
    end_of_period(since, until)
    server = None if via is None else _server(via)
    if server is not None and folder is None:
        raise WrongUsage("--send needs --out, the folder for the reports")
    config = read_config(file)
    found = _periods(config, since, until, _domain(domain))
    if folder is None:
        _print(found, since, until, **output)
        return 0
    contact = email or f"postmaster@{config.server.hostname}"
    written = _write(found, folder, config.server.hostname, contact)
    if server is not None:
        return _send(written, config, server, contact, as_json=output["as_json"])
    _print_files(written, as_json=output["as_json"])
    return 0


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


def _server(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise WrongUsage(f"--send: expected HOST:PORT, found {text!r}")
    return host.strip("[]"), int(port)


def _write(found: Iterator[Period], folder: Path, hostname: str, email: str) -> list[Written]:
    try:
        return [one for period in found for one in write_reports(folder, period, hostname, email)]
    except OSError as error:
        raise Failure(describe_os_error(error)) from error


def _print_files(written: list[Written], *, as_json: bool) -> None:
    paths = [str(one.path) for one in written]
    if as_json:
        print_json({"files": paths})
        return
    for path in paths or ["No domain requests reports"]:
        print_line(path)


def _send(
    written: list[Written], config: Config, via: tuple[str, int], email: str, *, as_json: bool
) -> int:
    """Send reports; print what became of each."""
    found = asyncio.run(_destinations(written, config))
    try:
        reporter = Reporter(config.server.hostname, email)
        sent = list(send(written, found, via, reporter)) if written else []
    except (OSError, SMTPException) as error:
        raise Failure(f"--send {via[0]}:{via[1]}: {error}") from error
    if as_json:
        print_json({"sent": msgspec.to_builtins(sent)})
    for one in [] if as_json else sent:
        line = f"{one.domain}  {one.file}  {one.address}".rstrip()
        print_line(f"{line}: {one.problem}" if one.problem else f"{line}: sent")
    if not sent and not as_json:
        print_line("No domain requests reports")
    return 1 if any(one.problem for one in sent) else 0


async def _destinations(written: list[Written], config: Config) -> dict[str, Destinations]:
    resolver = make_resolver(config)
    try:
        return await destinations(written, resolver)
    finally:
        await resolver.close()
