"""The rules of the guard of traps, and the estimate of the costs of traps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.model.headers import Headers
from gatepost.traps.guard import (
    UNRELATED,
    Correspondent,
    Counts,
    correspondent,
    is_unrelated,
    losses,
)
from gatepost.traps.organisations import is_shared_name, organisational


def headers(**fields):
    fields = {"Message_ID": "<1@partner.example>", "Subject": "An offer", **fields}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value]
    return Headers("\r\n".join([*lines, ""]).encode())


def test_a_first_message_of_a_person_counts():
    found = correspondent("partner.example", headers())
    assert found.domain == "partner.example"
    assert found == correspondent("partner.example", headers(Subject="Other"))


@pytest.mark.parametrize(
    "fields",
    [
        {"In_Reply_To": "<2@attacker.example>"},
        {"References": "<2@attacker.example>"},
        {"References": " "},
        *({"Subject": subject} for subject in ("Re: x", "RE:x", "AW: x", "Re[2]: x", "Re (2) : x")),
        *({"Subject": subject} for subject in ("Fwd: x", "FW: x", "WG: x", "  re: x", "R: x")),
        {"Auto_Submitted": "auto-replied"},
        {"Auto_Submitted": "nothing"},
        {"Precedence": "bulk"},
        {"Precedence": "List"},
        {"Precedence": "auto_reply"},
        {"List_Id": "<l.partner.example>"},
        {"List_Unsubscribe": "<https://partner.example>"},
        {"Feedback_ID": "1:2:3:partner"},
        {"Message_ID": ""},
        {"Message_ID": " "},
    ],
    ids=str,
)
def test_answers_and_automatic_messages_do_not_count(fields):
    assert correspondent("partner.example", headers(**fields)) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"Subject": ""},
        {"Subject": "Recipe: bread"},
        {"Subject": "Awful: no"},
        {"Auto_Submitted": "no"},
        {"Auto_Submitted": "NO"},
        {"Precedence": "first-class"},
    ],
    ids=str,
)
def test_other_messages_count(fields):
    assert correspondent("partner.example", headers(**fields)) is not None


def test_a_second_field_counts_too():
    raw = b"Message-ID: <1@a>\r\nPrecedence: first\r\nPrecedence: junk\r\n"
    assert correspondent("a", Headers(raw)) is None


@pytest.mark.parametrize(
    ("new", "unrelated"),
    [
        (Correspondent("c.example", "3"), True),
        (Correspondent("a.example", "3"), False),
        (Correspondent("c.example", "2"), False),
    ],
)
def test_the_same_organisation_or_the_same_message_is_related(new, unrelated):
    known = [Correspondent("a.example", "1"), Correspondent("b.example", "2")]
    assert is_unrelated(new, known) is unrelated


def test_the_first_correspondent_is_unrelated():
    assert is_unrelated(Correspondent("a.example", "1"), [])


ANSWERS = st.tuples(
    st.integers(0, 2000).map("host{}.example".format),
    st.sampled_from(["In-Reply-To", "References"]),
    st.integers(0, 2000),
)


@given(st.lists(ANSWERS, max_size=30))
def test_answers_in_any_number_of_threads_never_count(answers):
    for domain, field, thread in answers:
        raw = f"Message-ID: <{domain}>\r\n{field}: <{thread}@attacker.example>\r\n"
        assert correspondent(domain, Headers(raw.encode())) is None


@given(st.binary(max_size=300))
def test_any_header_block_is_a_correspondent_or_none(raw):
    found = correspondent("partner.example", Headers(raw))
    assert found is None or len(found.message) == 24


def test_without_hits_nothing_is_lost():
    found = losses(Counts(hits=0, sources=0, once=0, accepted=9000))
    assert (found.expected, found.upper) == (0, 0)


def test_the_losses_are_the_share_of_first_mistakes_in_all_hits():
    # 60 hits a month from 40 sources, 2 of them the first mistake of a trap, in 600,000 messages
    found = losses(Counts(hits=60, sources=40, once=2, accepted=600_000))
    assert found.expected == pytest.approx(1e5 * 60 * 2 / 40 / 600_000)
    assert found.upper == pytest.approx(1.5741, rel=1e-4)  # Garwood: 6.2958 for 2


def test_a_count_that_was_lost_is_no_negative_number():
    assert losses(Counts(hits=9, sources=9, once=-1, accepted=100)).expected == 0


@pytest.mark.parametrize(
    ("domain", "organisation"),
    [
        ("example.com", "example.com"),
        ("mail.eu.example.com", "example.com"),
        ("mail.example.co.uk", "example.co.uk"),
        ("example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("one.github.io", "github.io"),
        ("example.com.", "example.com"),
        ("localhost", "localhost"),
        ("", ""),
    ],
)
def test_the_organisation_of_a_domain(domain, organisation):
    assert organisational(domain) == organisation


def test_three_correspondents_are_needed():
    assert UNRELATED == 3


@pytest.mark.parametrize(
    ("domain", "is_shared"),
    [
        ("com", True),
        ("co.uk", True),
        ("com.au", True),
        ("example.com", False),
        ("example.co.uk", False),
        ("x.uk", False),
        ("co.example", False),
    ],
)
def test_names_below_which_many_organisations_register_are_known(domain, is_shared):
    assert is_shared_name(domain) == is_shared
