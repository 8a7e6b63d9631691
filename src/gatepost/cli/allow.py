"""`gatepost allow`: mail that plugins do not refuse, defer or hold until a time."""

import time
from pathlib import Path

import click

from gatepost.allow.entry import Entry, EntryError, make_entry, moment
from gatepost.allow.file import put, read_entries
from gatepost.allow.file import remove as remove_entry
from gatepost.allow.subject import Subject, SubjectError, parse_subject
from gatepost.cli.shared.allowed import changes, entry_names, nearest
from gatepost.cli.shared.author import author
from gatepost.cli.shared.lazy import SuggestingGroup
from gatepost.cli.shared.moments import End
from gatepost.cli.shared.output import (
    Failure,
    WrongUsage,
    print_error,
    print_json,
    print_line,
    print_table,
)
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.config.schema import Config


@click.group(
    cls=SuggestingGroup,
    epilog="Example: gatepost allow add 192.0.2.0/24 --until 30d --note 'partner, ticket 12'",
)
def command() -> None:
    """Allow mail that plugins refuse, until a time.

    Plugins do not refuse, defer or hold it. What they would have decided is recorded. Rules of the
    core, limits, unknown recipients and malware scanners still apply.
    """


@command.command(
    "add", epilog="Example: gatepost allow add example.com --until 2027-01-31 --note x"
)
@click.argument("what")
@click.option(
    "--until", type=End(), required=True, help='The end: a date, or a time from now such as "30d".'
)
@click.option("--note", required=True, help="Why, for the next administrator.")
@click.option("--traps", is_flag=True, help="Traps have no effect either.")
@click.option("--force", is_flag=True, help="Allow it although it is very wide.")
@config_option
@json_option
def add(
    what: str,
    *,
    until: float,
    note: str,
    traps: bool,
    force: bool,
    file: Path,
    as_json: bool,
) -> None:
    """Allow WHAT until a time, at most a year. The server uses it within a second.

    WHAT is an IP address, a network, a domain, a sender's address, or to: with the address of a
    recipient. A domain counts if SPF or DKIM has passed for it, a sender if SPF has. An entry for
    the same WHAT is replaced.
    """
    config, subject, now = read_config(file), _subject(what), time.time()
    _check_width(subject, force=force)
    try:
        entry = make_entry(subject, now=now, until=until, by=author(), note=note, traps=traps)
    except EntryError as error:
        raise WrongUsage(f"--{error}") from error
    with changes(config):
        old = put(config.data_dir, entry, pending=True)
    for warning in subject.warnings():
        print_error(f"warning: {warning}")
    if as_json:
        print_json(_as_data(entry))
        return
    print_line(f"{entry.what} allowed until {moment(entry.until)}")
    if old is not None and old.until > now:
        print_line(f"It replaces: {old}")


@command.command("list", epilog="Example: gatepost allow list --json")
@config_option
@json_option
def list_entries(file: Path, *, as_json: bool) -> None:
    """Print what is allowed, the next end first."""
    found = sorted(_entries(read_config(file)), key=lambda one: one.until)
    if as_json:
        print_json([_as_data(one) for one in found])
    elif found:
        names = ("what", "until", "by", "since", "traps", "note")
        print_table(names, [_row(one) for one in found])
    else:
        print_line("Nothing is allowed: gatepost allow add does that")


@command.command("remove", epilog="Example: gatepost allow remove 192.0.2.0/24")
@click.argument("what", shell_complete=entry_names)
@config_option
@json_option
def remove(what: str, *, file: Path, as_json: bool) -> None:
    """End an entry now. The server uses it within a second."""
    config, subject, now = read_config(file), _subject(what), time.time()
    with changes(config):
        removed = remove_entry(config.data_dir, str(subject), by=author(), now=now, pending=True)
    if removed is None:
        raise Failure(f"{subject} is not allowed{nearest(str(subject), _entries(config))}")
    if as_json:
        print_json(_as_data(removed))
    else:
        print_line(f"{removed.what} is not allowed any more")


def _subject(text: str) -> Subject:
    try:
        return parse_subject(text)
    except SubjectError as error:
        raise WrongUsage(str(error)) from error


def _check_width(subject: Subject, *, force: bool) -> None:
    found = [] if force else list(subject.objections())
    if found:
        raise Failure(*found, "use a narrower one, or --force")


def _entries(config: Config) -> list[Entry]:
    with changes(config):
        return read_entries(config.data_dir, time.time())


def _row(one: Entry) -> list[str]:
    traps = "yes" if one.traps else "no"
    return [one.what, moment(one.until), one.by, moment(one.at), traps, one.note]


def _as_data(one: Entry) -> dict[str, object]:
    return {
        "what": one.what,
        "until": one.until,
        "by": one.by,
        "at": one.at,
        "note": one.note,
        "traps": one.traps,
    }
