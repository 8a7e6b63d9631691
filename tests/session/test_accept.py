"""The text and codes of accept() at each hook."""

import pytest
from tests.session.dialogue import OPEN, plugin

from gatepost.model.decision import accept
from gatepost.testing import play

SENT = OPEN + "C: MAIL FROM:<a@client.example>\nS: 250\n"
NAMED = SENT + "C: RCPT TO:<one@example.com>\nS: 250\n"
CONTENT = NAMED + "C: DATA\nS: 354\nC: Subject: x\nC:\nC: .\n"


def check(transcript, **hooks):
    play(transcript, plugins=[plugin(**hooks)])


def spoken(text="spoken", **codes):
    return lambda *_: accept(text, **codes)


@pytest.mark.parametrize(
    ("hook", "transcript"),
    [
        ("connect", "S: 220 localhost spoken\n"),
        ("helo", "S: 220\nC: HELO c.example\nS: 250 localhost spoken\n"),
        ("helo", "S: 220\nC: EHLO c.example\nS: 250-localhost spoken\n"),
        ("mail", OPEN + "C: MAIL FROM:<a@client.example>\nS: 250 2.1.0 spoken\n"),
        ("rcpt", SENT + "C: RCPT TO:<one@example.com>\nS: 250 2.1.5 spoken\n"),
        ("data", NAMED + "C: DATA\nS: 354 spoken\n"),
        ("message", CONTENT + "S: 250 2.0.0 spoken\n"),
        ("deliver", CONTENT + "S: 250 2.0.0 spoken\n"),
        ("vrfy", OPEN + "C: VRFY x\nS: 250 2.0.0 spoken\n"),
        ("noop", OPEN + "C: NOOP\nS: 250 2.0.0 spoken\n"),
        ("help", OPEN + "C: HELP\nS: 214 2.0.0 spoken\n"),
        ("quit", OPEN + "C: QUIT\nS: 221 2.0.0 spoken\n"),
        ("unknown_command", OPEN + "C: XPING\nS: 250 2.0.0 spoken\n"),
    ],
)
def test_the_text_of_accept_is_the_text_of_the_reply(hook, transcript):
    check(transcript, **{f"on_{hook}": spoken()})


def test_lines_of_a_greeting_become_one_line():
    check("S: 220 localhost one two\n", on_connect=spoken("one\ntwo"))


@pytest.mark.parametrize(
    ("hook", "transcript", "code"),
    [
        ("rcpt", SENT + "C: RCPT TO:<one@example.com>\nS: 251 2.1.5 spoken\n", 251),
        ("vrfy", OPEN + "C: VRFY x\nS: 252 2.0.0 spoken\n", 252),
        ("unknown_command", OPEN + "C: XPING\nS: 259 2.0.0 spoken\n", 259),
    ],
)
def test_the_code_of_accept_is_the_code_of_the_reply(hook, transcript, code):
    check(transcript, **{f"on_{hook}": spoken(code=code)})


@pytest.mark.parametrize("hook", ["connect", "mail", "rcpt", "message"])
def test_accept_without_a_text_changes_nothing(hook):
    check(CONTENT + "S: 250 2.0.0 Ok, *\n", **{f"on_{hook}": lambda *_: accept()})


def test_the_enhanced_code_of_accept_is_that_of_the_reply():
    check(
        SENT + "C: RCPT TO:<one@example.com>\nS: 250 2.1.9 spoken\n",
        on_rcpt=spoken(enhanced="2.1.9"),
    )


@pytest.mark.parametrize("hook", ["headers"])
def test_a_text_where_there_is_no_reply_is_a_failure(hook):
    check(CONTENT + "S: 451 4.3.0 *\n", **{f"on_{hook}": spoken()})
    check(CONTENT + "S: 250\n", **{f"on_{hook}": lambda *_: accept()})


def test_a_text_of_the_keywords_is_a_failure():
    check("S: 220\nC: EHLO c.example\nS: 451 4.3.0 *\n", on_ehlo=spoken())


def test_every_recipient_has_the_text_in_lmtp():
    transcript = """
    S: 220
    C: LHLO c.example
    S: 250
    C: MAIL FROM:<a@client.example>
    C: RCPT TO:<one@example.com>
    C: RCPT TO:<two@example.com>
    C: DATA
    S: 250
    S: 250
    S: 250
    S: 354
    C: Subject: x
    C:
    C: .
    S: 250 2.0.0 spoken
    S: 250 2.0.0 spoken
    """
    play(transcript, plugins=[plugin(on_message=spoken())], protocol="lmtp")
