"""Which entry covers a message, and when."""

import pytest

from gatepost.allow.entries import AllowList, Known
from gatepost.allow.entry import DAY, Entry, EntryError, make_entry, moment
from gatepost.allow.subject import parse_subject

NOW = 1_800_000_000.0
END = NOW + 30 * DAY


def entry(what, until=END, **fields):
    return Entry(what, until, NOW, "alice", "ticket 12", **fields)


def found(known, *entries, now=NOW, traps=False):
    one = AllowList(entries).find(known, now, traps=traps)
    return None if one is None else one.what


@pytest.mark.parametrize(
    ("what", "known"),
    [
        ("192.0.2.0/24", Known("192.0.2.7")),
        ("192.0.2.0/24", Known("::ffff:192.0.2.7")),
        ("2001:db8::/64", Known("2001:db8::99")),
        ("example.org", Known("198.51.100.1", ["example.org"])),
        ("example.org", Known("198.51.100.1", ["other.example", "a.b.example.org"])),
        ("kim@example.org", Known("", [], "kim@example.org")),
        ("to:bob@example.com", Known("", recipients=[("bob+x@example.com", "bob@example.com")])),
        ("to:bob+x@example.com", Known("", recipients=[("bob+x@example.com", "bob@example.com")])),
    ],
)
def test_an_entry_covers_what_it_names(what, known):
    assert found(known, entry(what)) == what


@pytest.mark.parametrize(
    ("what", "known"),
    [
        ("192.0.2.0/24", Known("192.0.3.7")),
        ("192.0.2.0/24", Known("/run/socket")),
        ("example.org", Known("192.0.2.7", ["badexample.org"])),
        ("a.example.org", Known("192.0.2.7", ["example.org"])),
        ("kim@example.org", Known("192.0.2.7", ["example.org"], "")),
        ("kim@example.org", Known("192.0.2.7", ["example.org"], "lee@example.org")),
        ("to:bob@example.com", Known("192.0.2.7")),
        ("to:bob@example.com", Known("", ["example.com"], "bob@example.com")),
    ],
)
def test_an_entry_does_not_cover_others(what, known):
    assert found(known, entry(what)) is None


def test_a_message_to_others_too_is_not_covered_by_an_entry_for_a_recipient():
    both = [("bob@example.com", "bob@example.com"), ("eve@example.com", "eve@example.com")]
    assert found(Known("", recipients=both), entry("to:bob@example.com")) is None
    allowed = [entry("to:bob@example.com"), entry("to:eve@example.com")]
    assert found(Known("", recipients=both), *allowed) == "to:bob@example.com"


def test_an_entry_has_no_effect_from_its_end_on():
    known = Known("192.0.2.7", ["example.org"], "", [("bob@example.com", "bob@example.com")])
    for what in ("192.0.2.0/24", "example.org", "to:bob@example.com"):
        assert found(known, entry(what), now=END - 0.001) == what
        assert found(known, entry(what), now=END) is None


def test_a_wider_entry_counts_after_the_end_of_a_narrower_one():
    entries = entry("192.0.2.7/32", NOW), entry("192.0.2.0/24")
    assert found(Known("192.0.2.7"), *entries) == "192.0.2.0/24"


def test_traps_need_an_entry_for_them():
    plain, with_traps = entry("192.0.2.0/24"), entry("192.0.0.0/16", traps=True)
    assert found(Known("192.0.2.7"), plain, traps=True) is None
    assert found(Known("192.0.2.7"), plain, with_traps, traps=True) == "192.0.0.0/16"


def made(what="192.0.2.1", **fields):
    given = {"now": NOW, "until": END, "by": "alice", "note": " ticket 12 ", "traps": False}
    return make_entry(parse_subject(what), **(given | fields))


def test_an_entry_is_made_with_end_note_and_author():
    assert str(made(until=NOW + 0.9 + DAY)) == (
        "192.0.2.1/32 until 2027-01-16 08:00 UTC by alice: ticket 12"
    )
    assert ", traps too: " in str(made(traps=True))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"until": NOW}, "until: expected a time after now"),
        ({"until": NOW + 367 * DAY}, "at most a year"),
        ({"until": float("inf")}, "at most a year"),
        ({"note": "  "}, "note: expected a reason"),
        ({"note": "a\nb"}, "note: expected a reason"),
        ({"note": "x" * 401}, "note: expected a reason"),
        ({"what": "to:bob@example.com", "traps": True}, "traps: expected a client"),
    ],
)
def test_an_entry_without_end_note_or_sense_is_refused(fields, expected):
    with pytest.raises(EntryError) as raised:
        made(**fields)
    assert expected in str(raised.value)


def test_a_time_that_no_calendar_has_is_a_number():
    assert moment(1e300) == "1e+300"
