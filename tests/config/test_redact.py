"""Passwords in URLs are not shown."""

import pytest

from gatepost.config.problem import MAX_SHOWN, quote
from gatepost.config.redact import redact

SECRETS = {
    "smtp://user:secret@host": "smtp://***@host",
    "SMTP://user:secret@host:25": "SMTP://***@host:25",
    "//user:secret@host": "//***@host",
    "smtp:user:secret@host": "smtp:***@host",
    "x+y://u/x:a/b@c@host": "x+y://***@host",
    "smtp://:secret@host": "smtp://***@host",
    "smtp://user:se cr'et\"@host": "smtp://***@host",
    "unix:///run/x?db=1&password=secret&user=x": "unix:///run/x?db=1&password=***&user=x",
    "to: target 'smtp://user:secret@host': bad": "to: target 'smtp://***@host': bad",
}


@pytest.mark.parametrize("text", SECRETS)
def test_a_password_is_removed(text):
    assert redact(text) == SECRETS[text]


@pytest.mark.parametrize(
    "text",
    [
        *("smtp://host:25", "smtp://user@host", "mx:", "maildir:var/{local}@{domain}", "a@b"),
        *("lmtp:unix:/run/x", "expected an address: found bob@example.com", "pipe:/bin/x a@b"),
    ],
)
def test_a_text_without_a_password_is_unchanged(text):
    assert redact(text) == text


def test_a_password_is_removed_before_a_text_is_cut():
    assert quote(f"smtp://user:{'s' * MAX_SHOWN}@host") == '"smtp://***@host"'
