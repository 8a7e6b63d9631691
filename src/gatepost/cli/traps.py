"""`gatepost traps`: the configured trap lists."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

from gatepost.checks.forgiving import ForgiveError, SubjectError, subjects_of
from gatepost.checks.forgiving import forgive as forgiven
from gatepost.checks.report import line_errors
from gatepost.checks.scratch import progress, scratch
from gatepost.cli.shared import (
    backtest,
    correspondents,
    registered,
    trap_adding,
    trap_export,
    trap_lists,
    trap_report,
    trap_rows,
    trap_states,
    trap_story,
)
from gatepost.cli.shared.lazy import SuggestingGroup
from gatepost.cli.shared.ledger_files import open_ledger
from gatepost.cli.shared.output import Failure, WrongUsage, print_error, print_json, print_line
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.config.schema import Config
from gatepost.ledger.records import Record
from gatepost.ledger.selection import Key
from gatepost.lists.entry import ListEntry
from gatepost.model.address import Address, AddressError
from gatepost.model.session import TrapHit
from gatepost.session.assemble import Lists, SetupError, find_lists, load_lists
from gatepost.traps.notes import LISTED, STATES
from gatepost.traps.table import TrapTable
from gatepost.traps.verdicts import TrapClass


@click.group(
    cls=SuggestingGroup,
    epilog="Example: gatepost traps add old-sales@example.com --note 'gone since 2019'",
)
def command() -> None:
    """List, add, change and explain traps: addresses that receive no legitimate mail."""


@contextmanager
def _loaded(config: Config) -> Iterator[tuple[TrapTable, Lists]]:
    """Load the trap lists and the registry."""
    with scratch(config) as usable:
        lists = find_lists(usable)
        try:
            with progress([one.path for one in lists.files]):
                load_lists(lists)
        except SetupError as error:
            raise Failure(*error.problems) from error
        yield TrapTable(lists.traps, lists.known, lists.registry), lists


@command.command("list", epilog="Example: gatepost traps list --state shadow --json")
@click.option("--class", "trap_class", type=click.Choice(list(LISTED)), help="Only this class.")
@click.option("--state", type=click.Choice(list(STATES)), help="Only this state.")
@click.option(
    "--registered", "only_registered", is_flag=True, help="Only the registry, not the list files."
)
@click.option("--match", "text", default="", metavar="TEXT", help="Only with TEXT in it.")
@config_option
@json_option
def list_traps(
    file: Path,
    *,
    trap_class: str | None,
    state: str | None,
    only_registered: bool,
    text: str,
    as_json: bool,
) -> None:
    """Print every trap with its place and note.

    The entries of the list files come first, then those of the registry.
    An entry that is not armed is marked with the reason. Lines that are not valid entries are
    reported on standard error.
    """
    config = read_config(file)
    chosen = trap_rows.Filter(trap_class or "", state or "", text, only_registered)
    with _loaded(config) as (table, _):
        found = filter(chosen.matches, trap_rows.rows(table, time.time()))
        (trap_rows.print_as_json if as_json else trap_rows.print_as_text)(found)
        for source in table.lists:
            for problem in line_errors(source):
                print_error(problem)


@command.command("export", epilog="Example: gatepost traps export --format rspamd > traps.map")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(trap_export.FORMATS)),
    required=True,
    help="rspamd: a map of regular expressions for its module spamtrap.",
)
@config_option
def export(file: Path, *, form: str) -> None:
    """Print the traps as a map for another program.

    Traps that the other program would treat in another way are left out, and are reported on
    standard error: those in shadow mode, with exempt senders, of classes that refuse only
    themselves, and patterns.
    """
    config = read_config(file)
    if config.traps.action != "refuse":
        raise Failure(f"traps.action is {config.traps.action}: nothing is refused for a trap")
    with _loaded(config) as (table, lists):
        known = [source.current for source in lists.known]
        covered = trap_export.covered_domains(table, known)
        write = trap_export.FORMATS[form](config.recipients.subaddress)
        found = trap_export.export(trap_rows.rows(table, time.time()), covered, write)
    for line in found.lines:
        print_line(line)
    for problem in found.left_out:
        print_error(problem)


@command.command("remove", epilog="Example: gatepost traps remove old-sales@example.com")
@click.argument("address")
@trap_lists.list_option
@config_option
def remove(address: str, *, name: str | None, file: Path) -> None:
    """Remove a trap from the lists and retire it.

    Without --list it is removed from all lists, and retired in the registry.
    """
    entry = trap_lists.typed_entry(address, "")
    config = read_config(file)
    chosen = trap_lists.chosen(config, name) if name else trap_lists.paths(config)
    removed: list[ListEntry] = []
    with progress(chosen):
        for path in chosen:
            try:
                removed += trap_lists.remove(path, entry.key)
            except OSError as error:
                raise Failure(f"{path}: cannot be changed: {error.strerror}") from error
    retired = not name and registered.retire(config, entry.key, "removed")
    if not removed and not retired:
        raise Failure(f"{entry.text} is not in any list")
    for one in removed:
        print_line(f"{one.text} removed from {one.source}:{one.line}")
    if retired:
        print_line(f"{entry.text} retired in the registry")


@command.command("test", epilog="Example: gatepost traps test bob@example.com trap@example.com")
@click.argument("addresses", nargs=-1, required=True)
@config_option
@json_option
def test(addresses: tuple[str, ...], *, file: Path, as_json: bool) -> int:
    """Print whether addresses are traps, with the entries.

    The exit status is 0 if all are traps, 1 if one is not.
    """
    parsed = [_address(one) for one in addresses]
    config = read_config(file)
    with progress(trap_lists.paths(config)), trap_lists.list_errors():
        found = trap_lists.look_up(config, parsed)
    if as_json:
        print_json([_result_as_data(one) for one in found])
    else:
        for one in found:
            print_line(_result_as_text(one))
    return 0 if all(one.trap is not None for one in found) else 1


def _result_as_data(result: trap_lists.LookupResult) -> dict[str, object]:
    hit = result.trap or result.unarmed
    data: dict[str, object] = {"address": result.address, "trap": result.trap is not None}
    if hit is not None:
        entry = hit.text if isinstance(hit, ListEntry) else hit.entry
        data |= {"entry": entry, "note": hit.note, "list": hit.source, "line": hit.line}
    if isinstance(hit, TrapHit):
        data |= {"class": hit.trap_class, "guessable": hit.guessable}
    return data


def _result_as_text(result: trap_lists.LookupResult) -> str:
    if result.trap is not None:
        hit = result.trap
        note = f" ({hit.note})" if hit.note else ""
        kind = "" if hit.trap_class == TrapClass.PRISTINE.value else f", {hit.trap_class}"
        kind += ", guessable" if hit.guessable else ""
        where = f"{hit.source}:{hit.line}"
        return f"{result.address}: trap, matches {hit.entry}{note} in {where}{kind}"
    if result.unarmed is not None:
        entry = result.unarmed
        return (
            f"{result.address}: not a trap, matches {entry.text} in {entry.source}:{entry.line},"
            " but is a role address or a known recipient"
        )
    return f"{result.address}: not a trap"


for _one in (
    trap_adding.command,
    *(backtest.command, correspondents.command, trap_report.command, trap_story.command),
    *(trap_states.arm, trap_states.shadow, trap_states.retire, trap_states.exempt),
):
    command.add_command(_one)


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except AddressError as error:
        raise WrongUsage(str(error)) from error


@command.command("forgive", epilog="Example: gatepost traps forgive 5f2c81d0-1.1")
@click.argument("what", nargs=-1, required=True, metavar="WHAT...")
@config_option
@json_option
def forgive(what: tuple[str, ...], *, file: Path, as_json: bool) -> int:
    """Remove clients and domains from the memory of trap hits.

    WHAT is a reference from a refusal, an IP address, a network, or a domain. A reference stands
    for its client and its sender's domain. The plugins trap_memory and standing have this memory.

    The exit status is 1 if nothing was on record.
    """
    config = read_config(file)
    try:
        subjects = [one for text in what for one in subjects_of(text, partial(_records, config))]
        found = forgiven(subjects, config)
    except SubjectError as error:
        raise WrongUsage(str(error)) from error
    except ForgiveError as error:
        raise Failure(str(error)) from error
    if as_json:
        print_json([one._asdict() for one in found])
    else:
        for one in found:
            print_line(f"{one.name}: {'forgiven' if one.deleted else 'nothing on record'}")
    return 0 if any(one.deleted for one in found) else 1


def _records(config: Config, ref: str) -> list[Record]:
    """Return the records of a reference."""
    with open_ledger(config) as reader:
        return list(reader.find(Key("ref", ref)))
