"""STARTTLS (RFC 3207): when it is accepted, and that no cleartext input survives it."""

import pytest
from tests.wire.driver import DENIED, HELLO, MAIL, OK, RCPT, SPLITS, but, drain, play, usual

from gatepost.wire import events as e
from gatepost.wire.smtp import PAUSED, SmtpServer, State, WireLimits
from gatepost.wire.smtp.syntax.extensions import EXTENSIONS

OFFERED = EXTENSIONS | {"STARTTLS"}
PIPELINED = "554 5.5.1 Improper command pipelining after STARTTLS"


def begun(data=HELLO + b"STARTTLS\r\n"):
    """Return a server that waits for the handshake."""
    server = SmtpServer(WireLimits(), extensions=OFFERED)
    server.receive_data(data)
    for event in drain(server):
        server.send(usual(event))
    return server


def answers(server, data):
    server.receive_data(data)
    return [server.send(usual(event)).decode().rstrip() for event in drain(server)]


@pytest.mark.parametrize("verb", [b"STARTTLS", b"starttls", b"StartTLS "])
def test_no_input_is_read_during_the_handshake(verb):
    server = begun(HELLO + verb + b"\r\n")
    assert server.switching
    server.receive_data(b"NOOP\r\n")
    assert server.next_event() is PAUSED
    assert server.switching


def test_input_from_before_the_handshake_is_dropped():
    server = begun()
    server.receive_data(b"NOOP\r\n")
    server.receive_data(b"MAIL FROM:<a@b>\r\n")
    server.start_tls()
    assert (server.unread, server.switching, server.agreed.secured) == (0, False, True)
    assert answers(server, b"RSET\r\n") == ["250 2.0.0 ok"]


def test_the_session_starts_again():
    server = begun()
    server.start_tls()
    assert server.state is State.START
    hello_first = "503 5.5.1 Bad sequence of commands: EHLO or HELO first"
    assert answers(server, b"MAIL FROM:<a@b>\r\n") == [hello_first]
    assert answers(server, HELLO + b"MAIL FROM:<a@b>\r\n") == ["250 2.0.0 ok"] * 2


def test_smtputf8_is_reset():
    dialogue = HELLO + "MAIL FROM:<ä@b> SMTPUTF8\r\nRSET\r\nSTARTTLS\r\n".encode()
    server = begun(dialogue)
    assert server.agreed.smtputf8
    server.start_tls()
    assert not server.agreed.smtputf8


def test_a_second_starttls_is_refused():
    server = begun()
    server.start_tls()
    active = "503 5.5.1 Bad sequence of commands: TLS already active"
    assert answers(server, HELLO + b"STARTTLS\r\n") == ["250 2.0.0 ok", active]
    assert not server.switching


def test_implicit_tls_starts_with_the_greeting():
    server = SmtpServer(WireLimits(), extensions=OFFERED)
    server.start_tls()
    assert server.next_event() == e.Connected()
    server.send(OK)
    active = "503 5.5.1 Bad sequence of commands: TLS already active"
    assert answers(server, HELLO + b"STARTTLS\r\n") == ["250 2.0.0 ok", active]


@pytest.mark.parametrize("behind", [b"NOOP\r\n", b"EHLO evil\r\n", b"\r\n", b"\x16\x03\x01", b"M"])
@pytest.mark.parametrize(
    "split", [lambda octets: [octets], lambda octets: [octets[:9], octets[9:]]]
)
def test_anything_behind_it_closes_the_session(split, behind):
    server = begun(HELLO)
    for piece in split(b"STARTTLS\r\n" + behind):
        server.receive_data(piece)
    event = server.next_event()
    assert server.send(usual(event)).decode() == PIPELINED + "\r\n"
    assert server.closed
    assert server.next_event() is PAUSED


def test_starttls_may_be_last_in_a_pipeline():
    server = SmtpServer(WireLimits(), extensions=OFFERED)
    server.receive_data(HELLO + b"NOOP\r\nSTARTTLS\r\n")
    assert [type(event) for event in events(server)] == [
        e.Connected, e.Ehlo, e.Noop, e.StartTls,
    ]  # fmt: skip
    assert server.switching


def events(server):
    for event in drain(server):
        server.send(usual(event))
        yield event


@pytest.mark.parametrize("split", SPLITS)
def test_an_argument_is_refused(split):
    played = play(HELLO + b"STARTTLS now\r\n", split, extensions=OFFERED)
    assert played.replies[1:] == ["501 5.5.4 Syntax error: no parameters allowed"]
    assert not played.server.switching


@pytest.mark.parametrize("reached", [MAIL, RCPT])
def test_starttls_in_a_transaction_is_out_of_order(reached):
    nested = "503 5.5.1 Bad sequence of commands: a transaction is already open"
    played = play(reached + b"STARTTLS\r\nRSET\r\n", extensions=OFFERED)
    assert played.replies[-2:] == [nested, "250 2.0.0 ok"]


def test_a_refused_starttls_leaves_the_session_in_cleartext():
    played = play(HELLO + b"STARTTLS\r\n", answer=but({e.StartTls: DENIED}), extensions=OFFERED)
    assert played.replies[1:] == [str(DENIED)]
    assert played.state is State.READY
    assert not played.server.switching


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("state", [b"", HELLO, MAIL])
def test_starttls_is_unknown_if_not_offered(state, split):
    played = play(state + b"STARTTLS\r\nNOOP\r\n", split)
    assert played.of(e.Unknown) == [e.Unknown("STARTTLS", "")]
    assert len(played.of(e.Noop)) == 1


def test_non_ascii_letters_do_not_make_a_verb():
    played = play(HELLO + "\u017ftarttls\r\n".encode(), extensions=OFFERED)
    assert played.replies[1:] == ["500 5.5.2 Syntax error: command unrecognised"]
