"""Automatic answers, by the header fields of the content (RFC 3834)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.model.headers import Headers
from gatepost.traps.automatic import is_automatic_answer


def answers(*fields):
    return is_automatic_answer(Headers("".join(f"{one}\r\n" for one in fields).encode()))


@pytest.mark.parametrize(
    "field",
    [
        "Auto-Submitted: auto-replied",
        "auto-submitted: AUTO-REPLIED (vacation)",
        "Auto-Submitted: auto-generated; owner-email=a@client.example",
        "Auto-Submitted:\r\n auto-notified",
        "Auto-Submitted: (a comment) auto-replied",
        "Content-Type: multipart/report; report-type=delivery-status; boundary=x",
        "Content-type: Multipart/Report;\r\n\tboundary=x",
        "X-Autoreply: yes",
        "X-Autorespond: out of office",
        "Precedence: auto_reply",
        "Precedence: Auto-Reply",
    ],
)
def test_an_automatic_answer_is_recognised(field):
    assert answers("Subject: hello", field, "From: a@client.example")


@pytest.mark.parametrize(
    "field",
    [
        "Auto-Submitted: no",
        "Auto-Submitted: No (a person wrote it)",
        "Auto-Submitted: no; x=y",
        "Auto-Submitted:",
        "Content-Type: multipart/mixed; boundary=multipart/report",
        "Content-Type: text/plain",
        "X-Autoreply: no",
        "X-Autoreply:",
        "Precedence: bulk",
        "Precedence: list",
        "X-Auto-Response-Suppress: All",
        "Subject: Auto-Submitted: auto-replied",
    ],
)
def test_other_mail_is_no_automatic_answer(field):
    assert not answers(field)


def test_a_second_field_counts_too():
    assert answers("Auto-Submitted: no", "Auto-Submitted: auto-replied")


@given(st.binary(max_size=300))
def test_any_value_is_judged(value):
    fields = b"Auto-Submitted: " + value + b"\r\nContent-Type: " + value + b"\r\n"
    assert is_automatic_answer(Headers(fields)) in (True, False)
