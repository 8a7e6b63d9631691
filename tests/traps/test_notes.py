"""The class of a trap in the note of its entry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.traps.guessable import is_guessable
from gatepost.traps.notes import LISTED, Marks, TrapState, doubt, read_marks, with_marks
from gatepost.traps.senders import is_automatic
from gatepost.traps.verdicts import TrapClass


@pytest.mark.parametrize("trap_class", LISTED)
def test_a_class_is_read_from_the_beginning_of_a_note(trap_class):
    assert read_marks(f"class={trap_class}  left in 2019") == Marks(
        LISTED[trap_class], note="left in 2019"
    )


@pytest.mark.parametrize(
    ("note", "trap_class", "spoils", "rest"),
    [
        ("", None, False, ""),
        ("contact page", None, False, "contact page"),
        ("class=typo", TrapClass.TYPO, False, ""),
        ("class=typo\tx", TrapClass.TYPO, False, "x"),
        ("spoil=yes class=seeded a=b", TrapClass.SEEDED, True, "a=b"),
        ("spoil=yes", None, True, ""),
        ("left class=typo", None, False, "left class=typo"),
        ("class=virtual", None, False, "class=virtual"),
        ("class=1999 reunion", None, False, "class=1999 reunion"),
        ("class=typo class=seeded", TrapClass.TYPO, False, "class=seeded"),
        ("spoil=yes spoil=yes", None, True, "spoil=yes"),
        ("spoil=no", None, False, "spoil=no"),
        ("Class=typo", None, False, "Class=typo"),
        ("class = typo", None, False, "class = typo"),
        ("class=typo,x", None, False, "class=typo,x"),
        ("classes of 1999", None, False, "classes of 1999"),
    ],
)
def test_only_known_words_in_front_are_no_note(note, trap_class, spoils, rest):
    assert read_marks(note) == Marks(trap_class, spoils, rest)


@pytest.mark.parametrize(
    ("note", "fields"),
    [
        ("state=shadow x", {"state": TrapState.SHADOW}),
        ("state=asleep x", {"note": "state=asleep x"}),
        ("expires=1970-01-02 x", {"expires": 86400.0}),
        ("expires=soon x", {"note": "expires=soon x"}),
        ("expires=2024-02-30 x", {"note": "expires=2024-02-30 x"}),
        ("exempt=a.example,b.example x", {"exempt": ("a.example", "b.example")}),
        ("exempt=a.example,, x", {"note": "exempt=a.example,, x"}),
        ("by=me at=1970-01-01T00:01:00Z x", {"by": "me", "at": 60.0}),
        ("at=1970-01-01T00:01:00+00:01 x", {"at": 0.0}),
        ("at=1970-01-01T00:01:00 x", {"note": "at=1970-01-01T00:01:00 x"}),
        ("at=noon x", {"note": "at=noon x"}),
        ("state=armed state=retired", {"state": TrapState.ARMED, "note": "state=retired"}),
    ],
)
def test_the_state_of_a_trap_is_read_and_wrong_values_are_a_note(note, fields):
    assert read_marks(note) == Marks(**{"note": "x", **fields})


@pytest.mark.parametrize(
    ("marks", "is_over"),
    [
        (Marks(), False),
        (Marks(state=TrapState.ARMED), False),
        (Marks(state=TrapState.RETIRED), True),
        (Marks(expires=1001.0), False),
        (Marks(expires=1000.0), True),
    ],
)
def test_an_entry_is_over_when_it_is_retired_or_has_expired(marks, is_over):
    assert marks.is_over(1000.0) is is_over


@pytest.mark.parametrize(
    ("note", "word"),
    [
        ("state=off", "state=off"),
        ("Expires: 2027-01-01", "Expires: 2027-01-01"),
        ("exempt=", "exempt="),
        ("class=recycld x", "class=recycld"),
        ("class=typo class=typo", "class=typo"),
        ("spoil=no", "spoil=no"),
        ("Class: typo", "Class: typo"),
        ("class = typo", "class = typo"),
        ("class=typo a note", ""),
        ("a note", ""),
        ("first class=typo", ""),
    ],
)
def test_a_note_that_begins_like_a_class_is_doubtful(note, word):
    assert doubt(note) == word


_NOTES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=60)


@given(_NOTES)
def test_every_note_is_read_and_its_rest_is_its_end(note):
    marks = read_marks(note)
    assert note.endswith(marks.note)
    doubt(note)


@given(_NOTES.map(str.strip), st.sampled_from(["", *LISTED]), st.booleans())
def test_what_is_written_is_read(note, trap_class, spoils):
    if not (trap_class and spoils) and read_marks(note) != Marks(note=note):
        return  # the note itself begins with one of the words
    marks = read_marks(with_marks(Marks(LISTED.get(trap_class), spoils, note)))
    assert marks == Marks(LISTED.get(trap_class), spoils, note)


@pytest.mark.parametrize(
    "local", ["info", "sales", "customer-service", "no_reply", "bob", "a", "x-1"]
)
def test_roles_and_short_words_are_guessable(local):
    assert is_guessable(local)


@pytest.mark.parametrize("local", ["john.smith", "hidden-page", "salesman", "infos2019", "robert"])
def test_other_names_are_not_guessable(local):
    assert not is_guessable(local)


@pytest.mark.parametrize(
    "local",
    [
        "",
        "MAILER-DAEMON",
        "postmaster",
        "double-bounce",
        "bounce",
        "bounces",
        "bounce-12",
        "bounces+x=y.example",
        "BOUNCE_1",
        "autoreply",
    ],
)
def test_senders_of_bounces_are_automatic(local):
    assert is_automatic(local)


@pytest.mark.parametrize("local", ["alice", "bouncer", "bouncesales", "postmasters", "the-bounce"])
def test_other_senders_are_not_automatic(local):
    assert not is_automatic(local)
