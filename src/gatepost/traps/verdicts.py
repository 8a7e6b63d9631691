"""The treatment of a trap hit: one table of the class of the trap and the standing of the sender.

A trap that a person may address by mistake refuses only itself. A trap that no person can have
addressed refuses the message, and a sender with good mail on record is first asked for the content,
so that the refusal can be explained. See `TABLE`, which an administrator can change cell by cell.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, TypeAlias


class _Word(Enum):
    """A word of the tables. As a key it costs no call of Python, as that of `Enum` does."""

    __hash__ = object.__hash__


class TrapClass(_Word):
    """The kinds of traps, by how the address became one."""

    PRISTINE = "pristine"  # listed by hand: no person was ever given it
    SEEDED = "seeded"  # published on purpose, with a mark that identifies the place
    MESSAGE_ID = "message-id"  # looks like the identifier of a message
    LEARNED = "learned"  # found by observation
    RECYCLED = "recycled"  # had a user once
    TYPO = "typo"  # close to the address of a user
    VIRTUAL = "virtual"  # many unknown recipients in one transaction


class Standing(_Word):
    """The standing of a sender.

    ACQUAINTED: the aligned domain sent good mail at least 7 days ago and no bad mail. TRUSTED: our
    users wrote to the sender, or it is on the allow list.
    """

    STRANGER = "stranger"
    ACQUAINTED = "acquainted"
    TRUSTED = "trusted"


class Treatment(_Word):
    """The result for the message, from the hardest to none."""

    REFUSE_ALL = "refuse all"
    REFUSE_ALL_AFTER_CONTENT = "refuse all after the content"
    MARKED_AFTER_CONTENT = "marked after the content"
    RECIPIENT_ONLY_REST_MARKED = "recipient only, rest marked"
    RECIPIENT_ONLY = "recipient only"
    NONE = "none"


# The members by their words: a call of the class takes several times as long.
CLASSES: Final = {one.value: one for one in TrapClass}
TREATMENTS: Final = {one.value: one for one in Treatment}

Cell: TypeAlias = tuple[TrapClass, Standing]

_ROW_HARD = (
    Treatment.REFUSE_ALL,
    Treatment.REFUSE_ALL_AFTER_CONTENT,
    Treatment.RECIPIENT_ONLY_REST_MARKED,
)
_ROW_LEARNED = (
    Treatment.REFUSE_ALL_AFTER_CONTENT,
    Treatment.RECIPIENT_ONLY_REST_MARKED,
    Treatment.RECIPIENT_ONLY,
)
_ROW_SOFT = (Treatment.RECIPIENT_ONLY,) * 3
_ROWS = {
    TrapClass.PRISTINE: _ROW_HARD,
    TrapClass.SEEDED: _ROW_HARD,
    TrapClass.MESSAGE_ID: _ROW_HARD,
    TrapClass.VIRTUAL: _ROW_HARD,
    TrapClass.LEARNED: _ROW_LEARNED,
    TrapClass.RECYCLED: _ROW_SOFT,
    TrapClass.TYPO: _ROW_SOFT,
}

TABLE: Mapping[Cell, Treatment] = MappingProxyType(
    {
        (trap, standing): treatment
        for trap, row in _ROWS.items()
        for standing, treatment in zip(Standing, row, strict=True)
    }
)

# The row of the memory of trap hits (`memory`): its treatment of a message without a trap.
MEMORY_TABLE: Mapping[Standing, Treatment] = MappingProxyType(
    {
        Standing.STRANGER: Treatment.MARKED_AFTER_CONTENT,
        Standing.ACQUAINTED: Treatment.NONE,
        Standing.TRUSTED: Treatment.NONE,
    }
)

# Without changes by the administrator.
NO_CHANGES: Mapping[Cell, Treatment] = MappingProxyType({})


def treatment(
    trap: TrapClass,
    standing: Standing,
    *,
    guessable: bool = False,
    changes: Mapping[Cell, Treatment] = NO_CHANGES,
) -> Treatment:
    """Return the treatment of a hit.

    A guessable trap (a role, a first name, a word) can be entered into a sign-up form by any
    person. It refuses only itself, in every class. To let it refuse messages, pass False. `changes`
    has the cells that differ from TABLE.
    """
    if guessable and trap is not TrapClass.VIRTUAL:
        return Treatment.RECIPIENT_ONLY
    cell = trap, standing
    return changes.get(cell) or TABLE[cell]
