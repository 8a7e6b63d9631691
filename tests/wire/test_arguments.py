import pytest
from tests.wire.driver import HELLO, RCPT, play

from gatepost.wire import events as e

NAME = "501 5.5.4 Syntax error: expected a domain name or address literal"
NO_PARAMETERS = "501 5.5.4 Syntax error: no parameters allowed"
ARGUMENT = "501 5.5.4 Syntax error: expected an argument"


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("EHLO client.example", e.Ehlo("client.example")),
        ("ehlo [192.0.2.1]", e.Ehlo("[192.0.2.1]")),
        ("EHLO  a  b c ", e.Ehlo("a")),
        ("EHLO " + "a" * 255, e.Ehlo("a" * 255)),
        ("HELO a " + "b" * 256, e.Helo("a")),
        ("HELO client", e.Helo("client")),
        ("HELO müller.example x", e.Helo("müller.example")),
        ("RSET", e.Rset()),
        ("rset  ", e.Rset()),
        ("NOOP", e.Noop()),
        ("NOOP anything at all", e.Noop("anything at all")),
        ("VRFY Jürgen <j@b>", e.Vrfy("Jürgen <j@b>")),
        ("EXPN staff", e.Expn("staff")),
        ("HELP", e.Help("")),
        ("HELP mail from", e.Help("mail from")),
        ("QUIT  ", e.Quit()),
        ("STARTTLS", e.Unknown("STARTTLS", "")),
        ("xclient Addr=1.2.3.4", e.Unknown("XCLIENT", "Addr=1.2.3.4")),
        ("X-1234567890ABCD", e.Unknown("X-1234567890ABCD", "")),
    ],
)
def test_valid_arguments_give_events(line, event):
    played = play(HELLO + line.encode() + b"\r\n")
    assert played.events[1:] == [event]
    assert played.replies[1] in ("250 2.0.0 ok", "221 2.0.0 bye")


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("EHLO", NAME),
        ("EHLO " + "a" * 256, NAME),
        ("HELO " + "a" * 256, NAME),
        ("EHLO " + "ü" * 128, NAME),
        ("EHLO  ", NAME),
        ("HELO", NAME),
        ("HELO ", NAME),
        ("RSET now", NO_PARAMETERS),
        ("QUIT now", NO_PARAMETERS),
        ("VRFY", ARGUMENT),
        ("VRFY  ", ARGUMENT),
        ("EXPN ", ARGUMENT),
        ("EXPN", ARGUMENT),
    ],
)
def test_invalid_arguments_are_refused(line, reply):
    played = play(HELLO + line.encode() + b"\r\n")
    assert played.replies[1:] == [reply]
    assert not played.closed


def test_data_takes_no_argument():
    played = play(RCPT + b"DATA now\r\nDATA  \r\n")
    assert played.replies[3:] == [NO_PARAMETERS, "354 go ahead"]
