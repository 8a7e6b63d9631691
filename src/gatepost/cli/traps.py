"""`gatepost traps`: the configured trap lists."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from gatepost.checks.report import line_errors
from gatepost.checks.scratch import progress, scratch
from gatepost.cli.shared import backtest, correspondents, forgiving, trap_lists, trap_report
from gatepost.cli.shared.lazy import SuggestingGroup
from gatepost.cli.shared.output import Failure, WrongUsage, print_error, print_json, print_line
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.config.schema import Config
from gatepost.lists.addresses import AddressList
from gatepost.lists.entry import ListEntry
from gatepost.lists.reloadable import ListError
from gatepost.log.os_error import describe_os_error
from gatepost.model.address import Address, AddressError
from gatepost.model.session import TrapHit
from gatepost.session.assemble import SetupError, find_lists, load_lists
from gatepost.traps.notes import LISTED, read_marks, with_marks
from gatepost.traps.table import TrapTable
from gatepost.traps.verdicts import TrapClass

list_option = click.option(
    "--list", "name", metavar="FILE", help="One of traps.lists, as written in the configuration."
)


@click.group(
    cls=SuggestingGroup,
    epilog="Example: gatepost traps add old-sales@example.com --note 'gone since 2019'",
)
def command() -> None:
    """List, add, remove and test traps: addresses that receive no legitimate mail."""


@command.command("list", epilog="Example: gatepost traps list --json")
@config_option
@json_option
def list_traps(file: Path, *, as_json: bool) -> None:
    """Print every trap with its file, line and note.

    An entry that is not armed is marked with the reason. Lines that are not valid entries are
    reported on standard error.
    """
    config = read_config(file)
    with scratch(config) as usable:
        lists = find_lists(usable)
        try:
            with progress([one.path for one in lists.files]):
                load_lists(lists)
        except SetupError as error:
            raise Failure(*error.problems) from error
        report = TrapTable(lists.traps, lists.known).unarmed_entries()
        unarmed = {(one.entry.source, one.entry.line): one.reason.value for one in report}
        found = (entry for source in lists.traps for entry in source.current)
        rows = ((entry, unarmed.get((entry.source, entry.line), "")) for entry in found)
        if as_json:
            _print_json(rows)
        else:
            _print_text(rows)
        for source in lists.traps:
            for problem in line_errors(source):
                print_error(problem)


def _print_json(rows: Iterator[tuple[ListEntry, str]]) -> None:
    """Print an array item by item, because there can be millions."""
    separator = "["
    for entry, reason in rows:
        click.echo(separator)
        click.echo(json.dumps(_as_data(entry, reason)), nl=False)
        separator = ","
    click.echo("[]" if separator == "[" else "\n]")


def _as_data(entry: ListEntry, not_armed: str) -> dict[str, object]:
    marks = read_marks(entry.note)
    return {
        "trap": entry.text,
        "kind": entry.kind.value,
        "class": (marks.trap_class or TrapClass.PRISTINE).value,
        "note": marks.note,
        "list": entry.source,
        "line": entry.line,
        "armed": not not_armed,
        "not_armed_because": not_armed,
    }


def _print_text(rows: Iterator[tuple[ListEntry, str]]) -> None:
    for entry, reason in rows:
        marks = read_marks(entry.note)
        words = [f"{entry.source}:{entry.line}", entry.text]
        words += [] if marks.trap_class is None else [f"[{marks.trap_class.value}]"]
        words += ["[spoils]"] if marks.spoils else []
        words += [marks.note] if marks.note else []
        words += [f"[not armed: {reason}]"] if reason else []
        print_line("  ".join(words))


@command.command("add", epilog="Example: gatepost traps add @old.example.com --note 'sold in 2020'")
@click.argument("address")
@click.option("--note", default="", help="A note, such as where and when it was published.")
@click.option("--class", "trap_class", type=click.Choice(list(LISTED)), help="The class.")
@click.option(
    "--spoil",
    is_flag=True,
    help="Refuse the whole message, although any person can guess the trap.",
)
@list_option
@config_option
def add(
    address: str,
    *,
    note: str,
    trap_class: str | None,
    spoil: bool,
    name: str | None,
    file: Path,
) -> int:
    """Add a trap: an address, @domain, or /regular expression/.

    The server uses it within a second. An entry that is already in a list is not added again. The
    exit status is 1 if the entry is not armed, because it is a role address or a known recipient.
    """
    entry = _entry(address, with_marks(note.strip(), trap_class or "", spoils=spoil))
    config = read_config(file)
    target = _chosen(config, name)[0]
    existing = _existing_entry(config, entry)
    if existing is not None:
        print_line(f"{entry.text} is already in {existing.source}:{existing.line}")
        return _warn_unless_armed(config, entry)
    try:
        trap_lists.append(target, entry)
    except OSError as error:
        raise Failure(f"{target}: cannot be written: {error.strerror}") from error
    print_line(f"{entry.text} added to {target}")
    return _warn_unless_armed(config, entry)


def _warn_unless_armed(config: Config, entry: ListEntry) -> int:
    """Print a warning if an entry has no effect; return the exit status."""
    with _list_errors():
        known = trap_lists.known_recipients(config, {entry.key})
    unarmed = list(TrapTable([AddressList([entry])], known).unarmed_entries())
    for one in unarmed:
        print_error(f"warning: {entry.text} is not armed: it is {one.reason.value}")
    return 1 if unarmed else 0


def _existing_entry(config: Config, entry: ListEntry) -> ListEntry | None:
    """Return the first equal entry of any list; a missing list has no entries."""
    paths = [path for path in _paths(config) if path.exists()]
    with progress(paths), _list_errors():
        lists = [trap_lists.matching(path, {entry.key}) for path in paths]
    same = (other for one in lists for other in one if other.key == entry.key)
    return next(same, None)


@command.command("remove", epilog="Example: gatepost traps remove old-sales@example.com")
@click.argument("address")
@list_option
@config_option
def remove(address: str, *, name: str | None, file: Path) -> None:
    """Remove a trap from all lists, or from one."""
    entry = _entry(address, "")
    config = read_config(file)
    chosen = _chosen(config, name) if name else _paths(config)
    removed: list[ListEntry] = []
    with progress(chosen):
        for path in chosen:
            try:
                removed += trap_lists.remove(path, entry.key)
            except OSError as error:
                raise Failure(f"{path}: cannot be changed: {error.strerror}") from error
    if not removed:
        raise Failure(f"{entry.text} is not in any list")
    for one in removed:
        print_line(f"{one.text} removed from {one.source}:{one.line}")


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
    with progress(_paths(config)), _list_errors():
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


command.add_command(backtest.command)
command.add_command(correspondents.command)
command.add_command(trap_report.command)


@contextmanager
def _list_errors() -> Iterator[None]:
    """Turn a list that cannot be read into a failure of the command."""
    try:
        yield
    except ListError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(describe_os_error(error)) from error


def _entry(text: str, note: str) -> ListEntry:
    try:
        return trap_lists.parse_entry(text, note)
    except trap_lists.EntryError as error:
        raise WrongUsage(str(error)) from error


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except AddressError as error:
        raise WrongUsage(str(error)) from error


def _paths(config: Config) -> list[Path]:
    return [config.path(name) for name in config.traps.lists]


def _chosen(config: Config, name: str | None) -> list[Path]:
    """Return the list to change: the named one, or the first."""
    paths = _paths(config)
    if not paths:
        raise Failure("traps.lists: expected at least one list, found none")
    if name is None:
        return paths[:1]
    absolute = Path(name).absolute()
    chosen = [
        path
        for path, configured in zip(paths, config.traps.lists, strict=True)
        if name == configured or absolute == path.absolute()
    ]
    if not chosen:
        expected = ", ".join(config.traps.lists)
        raise WrongUsage(f"--list: expected one of traps.lists ({expected}), found {name!r}")
    return chosen


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
    subjects = [one for text in what for one in forgiving.subjects_of(text, config)]
    found = forgiving.forgive(subjects, config)
    if as_json:
        print_json([one._asdict() for one in found])
    else:
        for one in found:
            print_line(f"{one.name}: {'forgiven' if one.deleted else 'nothing on record'}")
    return 0 if any(one.deleted for one in found) else 1
