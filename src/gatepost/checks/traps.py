"""The classes of traps in `gatepost check`: the table in force, and doubtful entries.

Limits: MOST entries of each list are examined. Lists that are longer are made by programs.
"""

from collections.abc import Iterator
from itertools import islice

from gatepost.checks.revealing_names import about, revealing_word
from gatepost.config.schema import Config
from gatepost.lists.addresses import local_part
from gatepost.lists.entry import ListEntry
from gatepost.model.address import without_tag
from gatepost.session.assemble import Lists
from gatepost.session.setup import Setup
from gatepost.traps.guessable import is_guessable
from gatepost.traps.notes import LISTED, TrapState, doubt, read_marks
from gatepost.traps.verdicts import Standing, TrapClass, treatment

MOST = 200_000


def table_in_force(setup: Setup) -> Iterator[list[str]]:
    """Yield a row for each class: its name, and the treatment for each standing.

    A cell that the configuration changes ends in " (set)".
    """
    changes = setup.traps.changes
    for trap in TrapClass:
        row = [
            treatment(trap, sender, changes=changes).value
            + (" (set)" if (trap, sender) in changes else "")
            for sender in Standing
        ]
        yield [trap.value, *row]
    yield [
        "guessable",
        *(treatment(TrapClass.SEEDED, one, guessable=True).value for one in Standing),
    ]


def guessable(config: Config, setup: Setup, lists: Lists) -> Iterator[str]:
    """Warn of entries without a class that any person can guess: they refuse whole messages."""
    unarmed = {(one.entry.source, one.entry.line) for one in setup.traps.table.unarmed_entries()}
    for entry in _entries(lists):
        marks = read_marks(entry.note)
        if marks.trap_class or marks.spoils or (entry.source, entry.line) in unarmed:
            continue
        user = without_tag(local_part(entry), config.recipients.subaddress)
        if user and is_guessable(user):
            yield (
                f"{entry.source}:{entry.line}: any person can guess {entry.text} and enter it into"
                " a form, and then mail of honest senders is refused: give it a class, or write"
                " spoil=yes to keep it as it is"
            )


def revealing_names(config: Config, _setup: Setup, lists: Lists) -> Iterator[str]:
    """Warn of a name of this server that reveals traps."""
    domains = [key for source in lists.domains for key in islice(source.current, MOST)]
    word = revealing_word(config.server.hostname, domains)
    if word and any(len(one.current) for one in lists.traps):
        yield f"server.hostname: {about(config.server.hostname, word)}"


def misread(_config: Config, _setup: Setup, lists: Lists) -> Iterator[str]:
    """Warn of notes that begin like a class but are none."""
    for entry in _entries(lists):
        word = doubt(entry.note) if "=" in entry.note or ":" in entry.note else ""
        if word:
            yield (
                f'{entry.source}:{entry.line}: "{word}" is read as a part of the note, expected'
                f" class= with one of {', '.join(LISTED)}, or spoil=yes"
            )


def unproven(_config: Config, setup: Setup, lists: Lists) -> Iterator[str]:
    """Warn of learned traps that have no effect, because there is no list of existing addresses."""
    if setup.has_directory or setup.calls_ahead:
        return
    learned = sum(
        one.trap_class == TrapClass.LEARNED.value and one.state == TrapState.ARMED.value
        for one in islice(lists.registry.traps(), MOST)
    )
    if learned:
        yield (
            f"{learned} learned traps have no effect, because it is not known which addresses"
            " exist: expected recipients.known, a plugin with on_lookup, or a next hop to ask"
        )


def _entries(lists: Lists) -> Iterator[ListEntry]:
    for source in lists.traps:
        yield from islice(source.current, MOST)
