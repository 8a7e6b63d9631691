"""Folder names: one component for each field, and one folder for each name."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatepost.delivery.template import MAX_COMPONENT, MIN_FIELD, PathTemplate, encode_name

BASE = Path("/srv/gatepost")
ANY_TEXT = st.text(st.characters(), max_size=400)
NASTY = st.text(st.sampled_from("./\\%-~Aa0\0é\u0130\ud800@"), max_size=300)
NAMES = ANY_TEXT | NASTY


def fill(template, local="local", domain="domain"):
    values = {"local": local, "user": local, "domain": domain, "tag": "news"}
    return PathTemplate(template, BASE).path(values)


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("alice", "alice"),
        ("a.b-c_d=e+f", "a.b-c_d=e+f"),
        ("", "%"),
        (".", "%2e"),
        ("..", "%2e."),
        ("../x", "%2e.%2fx"),
        ("a/b", "a%2fb"),
        (".Sent", "%2e%53ent"),
        ("a\0b", "a%00b"),
        ("100%", "100%25"),
        ("%2e", "%252e"),
        ("Alice", "%41lice"),
        ("josé", "jos%c3%a9"),
        ("~root", "%7eroot"),
        ("\ud800", "%ed%a0%80"),
    ],
)
def test_names_are_encoded(name, encoded):
    assert encode_name(name) == encoded


def test_a_long_name_ends_in_its_digest():
    encoded = encode_name("x" * 256)
    assert len(encoded) == MAX_COMPONENT
    assert re.fullmatch(r"x{189}%-[0-9a-f]{64}", encoded)
    assert encoded != encode_name("x" * 257)
    assert encode_name("x" * 255) == "x" * 255


@given(NAMES, st.integers(MIN_FIELD, MAX_COMPONENT))
@example("../" * 100, MIN_FIELD)
@example(".", MAX_COMPONENT)
def test_a_name_is_one_component(name, room):
    encoded = encode_name(name, room)
    assert 1 <= len(encoded.encode()) <= room
    assert re.fullmatch(r"[a-z0-9+=_%-][a-z0-9+=_.%-]*", encoded)
    assert Path(encoded).parts == (encoded,)


@given(NAMES, NAMES, st.integers(MIN_FIELD, MAX_COMPONENT))
@example("A", "a", MAX_COMPONENT)
@example("", "%", MAX_COMPONENT)
@example("é", "e\u0301", MAX_COMPONENT)
def test_names_are_injective_even_where_case_is_folded(one, other, room):
    folded = encode_name(one, room).casefold(), encode_name(other, room).casefold()
    assert (folded[0] == folded[1]) == (one == other)


@given(NAMES)
def test_a_shortened_name_differs_from_other_names(name):
    shortened = encode_name(name * 3 + "x" * 256)
    assert encode_name(shortened) != shortened


@given(NAMES, NAMES)
def test_a_path_has_one_component_for_each_field(local, domain):
    path = fill("var/mail/{domain}/{local}", local, domain)
    assert path.parts[:5] == ("/", "srv", "gatepost", "var", "mail")
    assert path.parts[5:] == (encode_name(domain), encode_name(local))


@given(NAMES, NAMES, NAMES, NAMES)
@example("a", "b@c", "a@b", "c")
def test_two_fields_of_one_component_are_distinct(local, domain, other_local, other_domain):
    same = fill("{local}@{domain}", local, domain) == fill(
        "{local}@{domain}", other_local, other_domain
    )
    assert same == ((local, domain) == (other_local, other_domain))


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("var/mail/{domain}/{local}", "/srv/gatepost/var/mail/domain/local"),
        ("/var/mail/{user}/", "/var/mail/local"),
        ("all", "/srv/gatepost/all"),
        ("mail//{domain}/./.{local}", "/srv/gatepost/mail/domain/.local"),
        ("{local}@{domain}", "/srv/gatepost/local@domain"),
        ("{local}/.{tag}", "/srv/gatepost/local/.news"),
    ],
)
def test_templates_are_filled(template, path):
    assert fill(template) == Path(path)


def test_literal_text_counts_towards_the_component():
    path = fill("x" * 100 + "{local}", "y" * 200)
    assert len(path.name) == MAX_COMPONENT


@pytest.mark.parametrize(
    ("template", "error"),
    [
        ("", "expected a path such as var/mail/{domain}/{local}, found ''"),
        ("a\0b", "expected a path such as var/mail/{domain}/{local}, found 'a\\x00b'"),
        ("mail/{name}", "expected one of {local}, {user}, {domain}, {tag}, found {name}"),
        ("mail/{}", "expected one of {local}, {user}, {domain}, {tag}, found {}"),
        (
            "mail/{local",
            "stray brace in '{local': expected one of {local}, {user}, {domain}, {tag}",
        ),
        (
            "mail/local}",
            "stray brace in 'local}': expected one of {local}, {user}, {domain}, {tag}",
        ),
        (
            "{local}{domain}",
            "no separator between the fields of '{local}{domain}': expected a / or an @",
        ),
        (
            "{local}-{domain}",
            "no separator between the fields of '{local}-{domain}': expected a / or an @",
        ),
        (
            "x" * 156 + "{local}",
            "'" + "x" * 156 + "{local}' leaves less than 100 characters for each field",
        ),
        (
            "{local}@{domain}@{user}",
            "'{local}@{domain}@{user}' leaves less than 100 characters for each field",
        ),
        ("y" * 256, "'" + "y" * 256 + "' leaves less than 100 characters for each field"),
    ],
)
def test_invalid_templates_are_refused(template, error):
    with pytest.raises(ValueError) as caught:
        PathTemplate(template, BASE)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("template", "fixed"),
    [
        ("mail/all/", "/srv/gatepost/mail/all"),
        ("mail/{domain}/{local}", "/srv/gatepost/mail"),
        ("/var//mail/box-{local}/Maildir", "/var/mail"),
        ("{domain}", "/srv/gatepost"),
        ("/{domain}", "/"),
    ],
)
def test_the_fixed_part_ends_at_the_first_field(template, fixed):
    assert PathTemplate(template, BASE).fixed == Path(fixed)
