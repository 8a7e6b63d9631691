"""The changes for a mail server make its message the one that plugins have made."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from gatepost.model.message import Message
from gatepost.session.handback import changes_of, fields_of

NAMES = ("Subject", "X-A", "x-a", "X-B")
VALUES = st.sampled_from(["1", "2", "3", "", "folded\r\n\tvalue", "%s"])
NAME = st.sampled_from(NAMES)
EDITS = st.one_of(
    st.tuples(st.just("add_header"), NAME, VALUES),
    st.tuples(st.just("append"), NAME, VALUES),
    st.tuples(st.just("replace_header"), NAME, VALUES),
    st.tuples(st.just("remove_header"), NAME),
    st.tuples(st.just("remove_some"), NAME, VALUES),
)


def message_of(fields):
    message = Message(10_000)
    block = "".join(f"{name}: {value}\r\n" for name, value in fields)
    message.write(f"{block}\r\nbody\r\n".encode())
    message.complete()
    return message


def edit(message, name, *args):
    match name, args:
        case "append", (field, value):
            message.add_header(field, value, first=False)
        case "remove_some", (field, value):
            plain = value.replace("\r\n", "")
            message.remove_header(field, lambda found: found == plain)
        case _:
            getattr(message, name)(*args)


def applied(fields, changes):
    """Return the fields of a mail server after the changes, as Postfix and Sendmail make them."""
    found = [(name.encode(), f" {value}".encode()) for name, value in fields]
    for name, index, new in sorted(changes.changed, key=lambda one: -one[1]):
        places = [at for at, one in enumerate(found) if one[0].lower() == name.lower()]
        found[places[index - 1] : places[index - 1] + 1] = (
            [] if new is None else [(new.name, new.value)]
        )
    found += [(one.name, one.value) for one in changes.appended]
    return [(one.name, one.value) for one in changes.inserted] + found


def by_name(fields):
    """Return the values of each name in order: the order of different names may differ."""
    found = {}
    for name, value in fields:
        found.setdefault(name.lower(), []).append(value.strip())
    return found


@given(st.lists(st.tuples(NAME, VALUES), max_size=6), st.lists(EDITS, max_size=6))
def test_the_mail_server_has_the_fields_of_the_edited_message(fields, edits):
    with message_of(fields) as message:
        for one in edits:
            edit(message, *one)
        head = (
            bytes(message).partition(b"\r\n\r\n")[0] + b"\r\n" if fields or message.edits else b""
        )
        changes = changes_of(SimpleNamespace(message=message, acting=None))
        expected = [(one.name, one.value) for one in fields_of(head)]
        assert by_name(applied(fields, changes)) == by_name(expected)
        if not edits:
            assert not (changes.changed)
            assert not (changes.appended)
            assert not (changes.inserted)


@given(st.binary(max_size=200))
def test_fields_of_any_octets_have_no_line_break_that_ends_them(raw):
    for field in fields_of(raw):
        assert b"\r\n" not in field.value.replace(b"\r\n ", b"").replace(b"\r\n\t", b"")
        assert field.name.isascii()
