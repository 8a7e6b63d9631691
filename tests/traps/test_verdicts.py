"""The table of treatments, written out once more."""

import pytest

from gatepost.traps.verdicts import (
    MEMORY_TABLE,
    TABLE,
    Standing,
    TrapClass,
    Treatment,
    treatment,
)

ROWS = """
pristine    refuse all                    refuse all after the content   recipient only, rest marked
seeded      refuse all                    refuse all after the content   recipient only, rest marked
message-id  refuse all                    refuse all after the content   recipient only, rest marked
virtual     refuse all                    refuse all after the content   recipient only, rest marked
learned     refuse all after the content  recipient only, rest marked    recipient only
recycled    recipient only                recipient only                 recipient only
typo        recipient only                recipient only                 recipient only
"""
CELLS = [
    (row.split(maxsplit=1)[0], standing.value, cell.strip())
    for row in ROWS.strip().splitlines()
    for standing, cell in zip(
        Standing, [part for part in row[12:].split("  ") if part.strip()], strict=True
    )
]


@pytest.mark.parametrize(("trap", "standing", "expected"), CELLS)
def test_the_table_has_the_treatment(trap, standing, expected):
    assert treatment(TrapClass(trap), Standing(standing)) is Treatment(expected)


def test_the_table_is_complete():
    assert len(CELLS) == len(TABLE) == len(TrapClass) * len(Standing)


@pytest.mark.parametrize("standing", Standing)
@pytest.mark.parametrize("trap", set(TrapClass) - {TrapClass.VIRTUAL})
def test_a_guessable_trap_refuses_only_itself(trap, standing):
    assert treatment(trap, standing, guessable=True) is Treatment.RECIPIENT_ONLY


def test_many_unknown_recipients_cannot_be_guessable():
    found = treatment(TrapClass.VIRTUAL, Standing.STRANGER, guessable=True)
    assert found is Treatment.REFUSE_ALL


def test_a_cell_can_be_changed_and_the_others_stay():
    changes = {(TrapClass.LEARNED, Standing.STRANGER): Treatment.MARKED_AFTER_CONTENT}
    changed = treatment(TrapClass.LEARNED, Standing.STRANGER, changes=changes)
    assert changed is Treatment.MARKED_AFTER_CONTENT
    assert treatment(TrapClass.PRISTINE, Standing.STRANGER, changes=changes) is Treatment.REFUSE_ALL


def test_the_memory_concerns_strangers_only():
    assert {one for one, cell in MEMORY_TABLE.items() if cell is not Treatment.NONE} == {
        Standing.STRANGER
    }


def test_no_class_treats_a_trusted_sender_harder_than_a_stranger():
    order = list(Treatment)
    for trap in TrapClass:
        ranks = [order.index(treatment(trap, standing)) for standing in Standing]
        assert ranks == sorted(ranks)
