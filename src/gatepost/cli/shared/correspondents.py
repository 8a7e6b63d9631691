"""`gatepost traps correspondents`: the addresses that your users have written to."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from gatepost.checks.correspondents import MOST, Collector, Totals
from gatepost.cli.shared.log_options import format_option, log_bar, log_option, more_argument
from gatepost.cli.shared.output import Failure, WrongUsage, print_error, print_json, print_line
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.cli.shared.trusting import Trusted, local_domains, readers, record
from gatepost.importers.reading import Counts, LogReader, UnknownFormatError
from gatepost.log.os_error import describe_os_error
from gatepost.model.address import Address, AddressError, domain_key
from gatepost.plugins._correspondents import key_of

dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Count, and write nothing into the store."
)


@click.group("correspondents")
def command() -> None:
    """Record the addresses of known correspondents."""


@command.command(
    "import",
    epilog="Example: gatepost traps correspondents import --log /var/log/mail.log --dry-run",
)
@more_argument
@log_option
@format_option
@dry_run_option
@config_option
@json_option
def import_logs(
    *,
    logs: Sequence[Path],
    more: Sequence[Path],
    name: str | None,
    dry_run: bool,
    file: Path,
    as_json: bool,
) -> None:
    """Record the addresses your users wrote to, from logs.

    Give the logs of the server that sent their mail. A message counts if the log shows that a user
    or a program of yours sent it, and its sender is at one of your domains. Bounces, forwards and
    mail of noreply are left out. Its recipients at other domains are trusted, as long as if this
    server had sent the message.

    Logs of Postfix, Exim, Sendmail, qmail, qpsmtpd and Haraka are read.
    """
    config = read_config(file)
    plugins = readers(config)
    paths = [*logs, *more]
    collector, reader = Collector(local_domains(config), MOST), LogReader(paths, name)
    try:
        with log_bar("correspondents", paths) as show:
            for transaction in reader.transactions(show):
                collector.see(transaction)
    except UnknownFormatError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(describe_os_error(error)) from error
    trusted = record(config, plugins, collector.times, dry_run=dry_run)
    if as_json:
        found = msgspec.to_builtins(collector.totals)
        print_json(
            _data(trusted, dry_run=dry_run) | found | {"log": msgspec.to_builtins(reader.counts)}
        )
    else:
        _print_rows(
            [*_rows_of_log(collector.totals, reader.counts), *_rows(trusted, dry_run=dry_run)]
        )
        _print_doubts(collector.totals, reader.counts)


@command.command(
    "add", epilog="Example: gatepost traps correspondents add alice@example.org < addresses"
)
@click.argument("addresses", nargs=-1, required=True)
@dry_run_option
@config_option
@json_option
def add(addresses: tuple[str, ...], *, dry_run: bool, file: Path, as_json: bool) -> None:
    """Record addresses that your users write to now; - reads them from standard input.

    Programs that send mail for your users through another server can call this.
    """
    config = read_config(file)
    plugins = readers(config)
    texts = [line for one in addresses for line in (_lines() if one == "-" else [one])]
    now, is_local = time.time(), local_domains(config)
    parsed = map(_address, texts)
    times = {key_of(one): now for one in parsed if not is_local(domain_key(one.domain))}
    trusted = record(config, plugins, times, dry_run=dry_run)
    if as_json:
        print_json(_data(trusted, dry_run=dry_run))
    else:
        _print_rows(_rows(trusted, dry_run=dry_run))


def _lines() -> list[str]:
    return sys.stdin.read().split()


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except AddressError as error:
        raise WrongUsage(str(error)) from error


def _data(trusted: Trusted, *, dry_run: bool) -> dict[str, object]:
    return trusted._asdict() | {"dry_run": dry_run}


def _print_rows(rows: Sequence[tuple[str, int]]) -> None:
    for name, value in rows:
        print_line(f"{name:48}{value:>10,}")


def _print_doubts(found: Totals, log: Counts) -> None:
    if found.dropped:
        print_error(f"warning: {found.dropped} addresses are too many: the oldest were dropped")
    for one in found.identifiers:
        print_error(
            f"warning: the sender {one} looks like a message identifier: with"
            ' traps.message_ids = "armed", answers to it are refused unless recipients.known has it'
        )
    for problem in log.problems:
        print_error(problem)


def _rows_of_log(found: Totals, log: Counts) -> list[tuple[str, int]]:
    return [
        ("lines of the log", log.lines),
        ("  of other programs, or without a time", log.foreign + log.bad),
        ("messages of your users", found.messages),
        ("messages of programs, left out", found.automatic),
        ("messages with senders at other domains, left out", found.foreign_sender),
        ("recipients that got nothing, left out", found.not_delivered),
        ("recipients that are no addresses, left out", found.unreadable),
    ]


def _rows(trusted: Trusted, *, dry_run: bool) -> list[tuple[str, int]]:
    rows = [
        ("addresses written to", trusted.addresses),
        ("  too long ago to be trusted", trusted.expired),
    ]
    if dry_run:
        return rows
    return [
        *rows,
        ("  recorded", trusted.new),
        ("  recorded with a later time", trusted.renewed),
        ("  on record already", trusted.unchanged),
    ]
