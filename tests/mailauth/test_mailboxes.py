"""Mailboxes in address fields."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mailauth.mailboxes import Mailbox, MailboxError, read_mailboxes

SPECIAL = st.sampled_from([*'<>()[]@,;:."\\ \t\r\nab\u00e9', "a@x.example", "=?utf-8?q?a?="])


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("", []),
        (",;", []),
        ("a@x.example", [("", "a", "x.example")]),
        ("Ann <a@x.example>", [("Ann", "a", "x.example")]),
        ("Ann B. C <a@x.example>", [("Ann B. C", "a", "x.example")]),
        ('"Ann, \\"B\\"" <a@x.example>', [('Ann, "B"', "a", "x.example")]),
        ('"b@y.example" <a@x.example>', [("b@y.example", "a", "x.example")]),
        ("Ann(b)\r\n Lee < a . b @ x . example >", [("Ann Lee", "a.b", "x.example")]),
        ("a@x.example, B <b@y.example>", [("", "a", "x.example"), ("B", "b", "y.example")]),
        ("Team: a@x.example, B <b@y.example>;", [("", "a", "x.example"), ("B", "b", "y.example")]),
        ("Ann <@relay.example:a@x.example>", [("Ann", "a", "x.example")]),
        ("=?utf-8?q?A=2C?= <a@x.example>", [("=?utf-8?q?A=2C?=", "a", "x.example")]),
    ],
)
def test_each_mailbox_has_a_name_and_an_address(value, found):
    assert list(read_mailboxes(value)) == [Mailbox(*one) for one in found]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("b@y.example <a@x.example", "angle brackets"),
        ("Ann", "without one @"),
        ("a@b@x.example", "without one @"),
        ("a@[192.0.2.1]", "without a domain name"),
        ("a b@x.example", "wrong local part"),
        ("a@x.example (b", "comment that does not end"),
        ('"a@x.example', "cannot be read"),
    ],
)
def test_a_field_that_cannot_be_read_has_a_reason(value, problem):
    with pytest.raises(MailboxError, match=problem):
        list(read_mailboxes(value))


@given(st.lists(SPECIAL, max_size=30).map("".join))
def test_any_text_is_read_or_refused(value):
    try:
        found = list(islice(read_mailboxes(value), 100))
    except MailboxError:
        return
    for one in found:
        assert one.local
        assert one.domain
        assert not set("<>,;\r\n") & set(one.domain)


@given(
    st.text("ab c.@,<>\u00e9", min_size=1, max_size=20).filter(lambda name: name == name.strip()),
    st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True),
)
def test_a_quoted_name_is_read_as_it_was_written(name, local):
    (found,) = read_mailboxes(f'"{name}" <{local}@x.example>')
    assert found == (name, local, "x.example")
