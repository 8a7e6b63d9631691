"""A registered trap, and its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.lists.entry import parse_line
from gatepost.registry.trap import LONGEST_REASON, MOST_EXEMPT, RegisteredTrap, key_of
from gatepost.traps.notes import LISTED, STATES

DAY = 86400


def read(line):
    return RegisteredTrap.of(parse_line(line, "registry", 1))


def test_a_line_has_everything_about_a_trap_and_ends_with_the_reason():
    trap = RegisteredTrap(
        entry="k7@example.com",
        trap_class="learned",
        state="armed",
        spoils=True,
        expires=20_000.0 * DAY,
        exempt=("partner.example", "other.example"),
        reason="43 sources, none good",
        by="guard",
        at=1_700_000_000.0,
    )
    assert trap.line() == (
        "k7@example.com class=learned spoil=yes expires=2024-10-04"
        " exempt=partner.example,other.example by=guard at=2023-11-14T22:13:20Z state=armed"
        " 43 sources, none good"
    )
    assert read(trap.line()) == trap


@given(
    st.sampled_from(
        ["a@b.example", '"a b"@b.example', '"a\\"b"@b.example', "@b.example", "ü@bücher.example"]
    ),
    st.fixed_dictionaries(
        {
            "trap_class": st.sampled_from(list(LISTED)),
            "state": st.sampled_from(list(STATES)),
            "spoils": st.booleans(),
            "expires": st.integers(0, 40_000).map(lambda day: float(day * DAY)),
            "at": st.integers(0, 2**32).map(float),
            "reason": st.text(max_size=80),
        }
    ),
)
def test_every_line_that_is_written_is_read_as_the_same_trap(entry, fields):
    trap = RegisteredTrap(entry=key_of(entry), by="x", **fields)
    try:
        line = trap.line()
    except ValueError:
        return
    assert read(line) == trap


@pytest.mark.parametrize("length", range(1, 90))
def test_a_line_that_was_cut_off_is_no_trap_or_has_the_same_state(length):
    words = "class=learned exempt=a.example by=me at=2024-01-01T00:00:00Z state=shadow x"
    cut = f"k7@example.com {words}"[:-length]
    try:
        entry = parse_line(cut, "registry", 1)
    except ValueError:
        return
    trap = RegisteredTrap.of(entry)
    assert trap is None or (trap.state, trap.trap_class) == ("shadow", "learned")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"trap_class": "virtual"}, "expected one of pristine, .*, found 'virtual'"),
        ({"state": "asleep"}, "not a valid TrapState"),
        ({"reason": "two\nlines"}, "control characters"),
        ({"reason": "spoil=yes"}, "a reason on one line without a word like class="),
        ({"reason": "x" * (LONGEST_REASON + 1)}, "a reason of at most 500 characters"),
        ({"by": "two words"}, "a reason on one line"),
        ({"exempt": tuple(map(str, range(MOST_EXEMPT + 1)))}, "at most 50 exempt domains"),
    ],
)
def test_a_trap_that_cannot_be_written_is_an_error(fields, expected):
    with pytest.raises(ValueError, match=expected):
        RegisteredTrap(entry="a@b.example", **fields).line()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Trap@Example.com", "trap@example.com"),
        ("@BÜCHER.example", "@xn--bcher-kva.example"),
        (" a@b.example ", "a@b.example"),
    ],
)
def test_an_entry_has_a_canonical_form(text, key):
    assert key_of(text) == key


@pytest.mark.parametrize("text", ["", "# x", "/x/", "a@b.example note", "nothing", "*@x.example"])
def test_other_text_is_no_entry(text):
    with pytest.raises(ValueError, match="expected"):
        key_of(text)
