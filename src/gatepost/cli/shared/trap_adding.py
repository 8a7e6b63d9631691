"""`gatepost traps add`: to the registry, or with --list to a file."""

import time
from pathlib import Path

import click
import msgspec

from gatepost.checks.known import known_recipients, matching
from gatepost.checks.scratch import progress
from gatepost.cli.shared import registered, trap_lists, trap_states
from gatepost.cli.shared.author import author
from gatepost.cli.shared.moments import Day
from gatepost.cli.shared.output import Failure, print_error, print_line
from gatepost.cli.shared.settings import config_option, read_config
from gatepost.config.schema import Config
from gatepost.lists.addresses import AddressList
from gatepost.lists.entry import ListEntry
from gatepost.registry.trap import RegisteredTrap, written
from gatepost.traps.notes import LISTED, Marks, TrapState, with_marks
from gatepost.traps.table import TrapTable
from gatepost.traps.verdicts import TrapClass


@click.command("add", epilog="Example: gatepost traps add @old.example.com --note 'sold in 2020'")
@click.argument("address")
@click.option("--note", default="", help="Why it is a trap, such as where it was published.")
@click.option("--class", "trap_class", type=click.Choice(list(LISTED)), help="The class.")
@click.option("--spoil", is_flag=True, help="Refuse whole messages, although it can be guessed.")
@click.option(
    "--state",
    type=click.Choice([TrapState.ARMED.value, TrapState.SHADOW.value]),
    default=TrapState.ARMED.value,
    show_default=True,
    help="shadow: hits are only recorded.",
)
@click.option("--expires", type=Day(), default=0.0, help="The day from which it has no effect.")
@trap_states.force_option
@trap_lists.list_option
@config_option
def command(
    address: str,
    *,
    note: str,
    trap_class: str | None,
    spoil: bool,
    state: str,
    expires: float,
    force: bool,
    name: str | None,
    file: Path,
) -> int:
    """Add a trap: an address or @domain. The server uses it within a second.

    It is added to the registry, with who added it and when. With --list it is added to a file,
    where it can also be a /regular expression/.

    The exit status is 1 if it is not armed: it exists, is a role address, received good mail in the
    last 30 days, or is one typing error away from a known recipient.
    """
    config, trap_state = read_config(file), TrapState(state)
    marks = Marks(LISTED.get(trap_class or ""), spoil, note.strip(), expires=expires)
    if name is not None:
        if trap_state is TrapState.SHADOW:
            marks = msgspec.structs.replace(marks, state=trap_state)
        return _add_to_list(config, trap_lists.typed_entry(address, with_marks(marks)), name)
    entry = registered.entry_of(address)
    if trap_state is TrapState.ARMED:
        trap_states.check_arming(config, entry, force=force)
    trap = RegisteredTrap(
        entry=entry,
        trap_class=trap_class or TrapClass.PRISTINE.value,
        state=state,
        spoils=spoil,
        expires=expires,
        reason=marks.note,
        by=author(),
        at=float(int(time.time())),
    )
    with registered.written(config, entry):
        registered.open_registry(config).change(entry, lambda _old: trap)
    print_line(f"{written(entry)} added to the registry, {state}")
    return 0


def _add_to_list(config: Config, entry: ListEntry, name: str) -> int:
    target = trap_lists.chosen(config, name)[0]
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
    with trap_lists.list_errors():
        known = known_recipients(config, {entry.key})
    unarmed = list(TrapTable([AddressList([entry])], known).unarmed_entries())
    for one in unarmed:
        print_error(f"warning: {entry.text} is not armed: it is {one.reason.value}")
    return 1 if unarmed else 0


def _existing_entry(config: Config, entry: ListEntry) -> ListEntry | None:
    """Return the first equal entry of any list; a missing list has no entries."""
    paths = [path for path in trap_lists.paths(config) if path.exists()]
    with progress(paths), trap_lists.list_errors():
        lists = [matching(path, {entry.key}) for path in paths]
    same = (other for one in lists for other in one if other.key == entry.key)
    return next(same, None)
