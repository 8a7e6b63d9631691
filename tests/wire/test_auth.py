"""AUTH (RFC 4954): when it is accepted, the form of a response, and secrecy of its content."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.auth.samples import b64, plain
from tests.wire.driver import DENIED, HELLO, MAIL, RCPT, SPLITS, bytewise, drain, play, usual, whole

from gatepost.model.reply import Reply
from gatepost.wire import events as e
from gatepost.wire.lmtp import LmtpServer
from gatepost.wire.smtp import NEED_DATA, SmtpServer, State, WireLimits
from gatepost.wire.smtp.auth import MAX_RESPONSE
from gatepost.wire.smtp.syntax.extensions import EXTENSIONS

WITH_AUTH = EXTENSIONS | {"AUTH"}
CONTINUE = Reply(334, "Z28gb24=")
WELCOME = Reply(235, "welcome", "2.7.0")
WRONG = Reply(535, "wrong", "5.7.8")
INITIAL = b64(plain())
ALREADY = "503 5.5.1 Bad sequence of commands: already authenticated"
PIPELINED = "554 5.5.1 Improper command pipelining after AUTH"
BASE64 = "501 5.5.2 Syntax error: expected base64"
SYNTAX = "501 5.5.4 Syntax error: expected AUTH mechanism [initial-response]"
TOO_LONG = "500 5.5.6 Authentication exchange line is too long"
NEEDS_TLS = "538 5.7.11 Encryption required: STARTTLS first"


class Dialogue:
    """A client that waits for each reply. `replies` answer AUTH and its responses, in order."""

    def __init__(self, *replies, split=whole, make=SmtpServer, hello=HELLO):
        self.server = make(WireLimits(), extensions=WITH_AUTH)
        self.split = split
        self.events = []
        self.pending = list(replies)
        self.send("" if hello is None else hello.decode().strip())

    def send(self, line):
        """Send a line, or none if it is ""; return the last reply."""
        out = b""
        for piece in self.split(f"{line}\r\n".encode() if line else b"") or [b""]:
            self.server.receive_data(piece)
            for event in drain(self.server):
                self.events.append(event)
                is_auth = isinstance(event, e.Auth | e.AuthResponse)
                out += self.server.send(self.pending.pop(0) if is_auth else usual(event))
        return out.decode().splitlines()[-1] if out else ""


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("verb", ["AUTH", "auth"])
def test_auth_with_an_initial_response_is_accepted(verb, split):
    dialogue = Dialogue(WELCOME, split=split)
    assert dialogue.send(f"{verb} Plain {INITIAL}") == "235 2.7.0 welcome"
    assert dialogue.events[-1] == e.Auth("PLAIN", plain())
    assert dialogue.send("AUTH PLAIN") == ALREADY
    assert dialogue.send("MAIL FROM:<a@b> AUTH=<>") == "250 2.0.0 ok"
    assert dialogue.server.state is State.MAIL


@pytest.mark.parametrize("split", SPLITS)
def test_auth_in_several_responses_is_accepted(split):
    dialogue = Dialogue(CONTINUE, CONTINUE, WELCOME, split=split)
    assert dialogue.send("AUTH LOGIN") == "334 Z28gb24="
    assert not dialogue.server.receiving
    assert dialogue.send(b64("alice")) == "334 Z28gb24="
    assert dialogue.send(b64("secret")) == "235 2.7.0 welcome"
    assert dialogue.events[-3:] == [
        e.Auth("LOGIN", None),
        e.AuthResponse(b"alice"),
        e.AuthResponse(b"secret"),
    ]
    assert dialogue.server.agreed.authenticated
    assert dialogue.send("NOOP") == "250 2.0.0 ok"


def test_auth_may_be_repeated_after_a_refusal():
    dialogue = Dialogue(WRONG, CONTINUE, WRONG, WELCOME)
    assert dialogue.send(f"AUTH PLAIN {INITIAL}") == "535 5.7.8 wrong"
    assert dialogue.send("AUTH PLAIN") == "334 Z28gb24="
    assert dialogue.send(INITIAL) == "535 5.7.8 wrong"
    assert not dialogue.server.agreed.authenticated
    assert dialogue.send(f"AUTH PLAIN {INITIAL}") == "235 2.7.0 welcome"


def test_empty_responses_are_accepted():
    dialogue = Dialogue(CONTINUE)
    dialogue.send("AUTH X =")
    dialogue.server.receive_data(b"\r\n")
    (event,) = drain_one(dialogue.server)
    assert event == e.AuthResponse(b"")
    assert dialogue.events[-1] == e.Auth("X", b"")


def drain_one(server):
    event = server.next_event()
    assert event is not NEED_DATA
    server.send(usual(event))
    return [event]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    ("response", "reply"),
    [
        ("*", "501 5.7.0 Authentication cancelled"),
        ("!", BASE64),
        ("c2VjcmV0 ", BASE64),
        ("c2VjcmV", BASE64),
        ("=", BASE64),
        ("secret\tpassword", BASE64),
        ("passwört", BASE64),
        ("\0", BASE64),
    ],
)
def test_a_malformed_or_cancelled_response_ends_the_exchange(response, reply, split):
    dialogue = Dialogue(CONTINUE, WELCOME, split=split)
    dialogue.send("AUTH LOGIN")
    assert dialogue.send(response) == reply
    assert not dialogue.server.agreed.authenticated
    assert dialogue.send("NOOP") == "250 2.0.0 ok"
    assert dialogue.send("AUTH LOGIN") == "235 2.7.0 welcome"


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("AUTH", SYNTAX),
        ("AUTH ", SYNTAX),
        ("AUTH PLAIN a b", SYNTAX),
        ("AUTH PL.AIN", SYNTAX),
        (f"AUTH {'X' * 21}", SYNTAX),
        ("AUTH PLAIN ==", BASE64),
        ("AUTH PLAIN secret!", BASE64),
        ("AUTH PLAIN \u00fc", BASE64),
    ],
)
def test_malformed_auth_is_refused(line, reply):
    assert Dialogue().send(line) == reply


@pytest.mark.parametrize("cut", [0, 1, 3])
@pytest.mark.parametrize("behind", [b"NOOP\r\n", b"c2VjcmV0\r\n", b"x"])
def test_input_behind_auth_closes(behind, cut):
    for command in (b"AUTH LOGIN\r\n", f"AUTH PLAIN {INITIAL}\r\n".encode()):
        played = play(HELLO + command + behind, lambda data: [data[: -cut or None]], **OFFERED)
        if cut < len(behind):
            assert played.replies[1:] == [PIPELINED]
            assert played.closed


OFFERED = {"extensions": WITH_AUTH}


def test_input_behind_a_response_closes():
    dialogue = Dialogue(CONTINUE)
    dialogue.send("AUTH LOGIN")
    assert dialogue.send("YWxpY2U=\r\nc2VjcmV0") == PIPELINED
    assert dialogue.server.closed
    assert [type(one) for one in dialogue.events[-2:]] == [e.Auth, e.Fault]


@pytest.mark.parametrize("ending", ["\n", "\rx\r\n"])
def test_a_response_ends_with_crlf(ending):
    dialogue = Dialogue(CONTINUE)
    dialogue.send("AUTH LOGIN")
    dialogue.server.receive_data(f"YWxpY2U={ending}".encode())
    (event,) = drain_one(dialogue.server)
    assert type(event) is e.Fault
    assert dialogue.server.closed == (ending == "\n")


@pytest.mark.parametrize("split", [whole, bytewise])
@pytest.mark.parametrize(("size", "fits"), [(MAX_RESPONSE - 4, True), (MAX_RESPONSE, False)])
def test_a_response_has_a_limit(size, fits, split):
    dialogue = Dialogue(CONTINUE, WRONG, split=split)
    dialogue.send("AUTH LOGIN")
    reply = dialogue.send("A" * size)
    assert reply == ("535 5.7.8 wrong" if fits else TOO_LONG)
    assert dialogue.server.closed != fits


def test_an_endless_response_closes():
    dialogue = Dialogue(CONTINUE)
    dialogue.send("AUTH LOGIN")
    dialogue.server.receive_data(b"A" * MAX_RESPONSE)
    (event,) = drain_one(dialogue.server)
    assert str(event.reply) == TOO_LONG


@pytest.mark.parametrize("reached", [MAIL, RCPT])
def test_auth_in_a_transaction_is_out_of_order(reached):
    nested = "503 5.5.1 Bad sequence of commands: a transaction is already open"
    played = play(reached + b"AUTH PLAIN\r\nRSET\r\n", **OFFERED)
    assert played.replies[-2:] == [nested, "250 2.0.0 ok"]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("reach", [b"", HELLO, MAIL])
def test_auth_is_unknown_if_not_offered(reach, split):
    played = play(reach + b"AUTH PLAIN c2VjcmV0\r\nMAIL FROM:<a@b> AUTH=<>\r\n", split)
    assert played.of(e.Unknown)[0].verb == "AUTH"
    assert not played.of(e.Auth)


def secret_server(make=SmtpServer):
    server = make(WireLimits(), extensions=EXTENSIONS | {"STARTTLS"})
    server.agreed.after_tls = frozenset({"AUTH"})
    return server


def answers(server, data):
    server.receive_data(data)
    replies = [server.send(usual(event)).decode().rstrip() for event in drain(server)]
    return replies[1:] if replies and replies[0].startswith("220 gate") else replies


def test_auth_that_requires_tls_is_refused_before_and_accepted_after():
    server = secret_server()
    assert answers(server, b"AUTH PLAIN\r\n")[0].startswith("503")
    replies = answers(server, HELLO + b"AUTH PLAIN c2VjcmV0\r\nAUTH\r\nMAIL FROM:<a@b> AUTH=<>\r\n")
    assert replies[1:3] == [NEEDS_TLS] * 2
    assert replies[3].startswith("555")
    answers(server, b"STARTTLS\r\n")
    server.start_tls()
    server.receive_data(HELLO + b"MAIL FROM:<a@b> AUTH=<>\r\nRSET\r\nAUTH PLAIN\r\n")
    kinds = []
    for event in drain(server):
        kinds.append(type(event))
        server.send(WELCOME if type(event) is e.Auth else usual(event))
    assert kinds == [e.Ehlo, e.Mail, e.Rset, e.Auth]
    assert server.agreed.authenticated


def test_lmtp_requires_lhlo_before_auth():
    server = secret_server(LmtpServer)
    assert answers(server, b"AUTH PLAIN\r\n") == ["503 5.5.1 Bad sequence of commands: LHLO first"]
    assert answers(server, b"LHLO x\r\nAUTH PLAIN\r\n")[1:] == [NEEDS_TLS]


def test_starttls_and_xclient_reset_the_authentication():
    for line in (b"STARTTLS\r\n", b"XCLIENT HELO=x\r\n"):
        server = SmtpServer(WireLimits(), extensions=WITH_AUTH | {"STARTTLS", "XCLIENT"})
        for data in (HELLO, b"AUTH PLAIN\r\n", line):
            server.receive_data(data)
            for event in drain(server):
                server.send(WELCOME if type(event) is e.Auth else usual(event))
        if server.switching:
            server.start_tls()
        assert not server.agreed.authenticated
        server.receive_data(HELLO + b"AUTH PLAIN\r\n")
        assert [type(one) for one in answered(server)] == [e.Ehlo, e.Auth]


def answered(server):
    for event in drain(server):
        server.send(usual(event))
        yield event


def test_a_refused_xclient_leaves_the_client_authenticated():
    server = SmtpServer(WireLimits(), extensions=WITH_AUTH | {"XCLIENT"})
    for data in (HELLO, b"AUTH PLAIN\r\n", b"XCLIENT HELO=x\r\n"):
        server.receive_data(data)
        for event in drain(server):
            replies = {e.Auth: WELCOME, e.Xclient: DENIED}
            server.send(replies.get(type(event)) or usual(event))
    assert server.agreed.authenticated


def test_auth_is_the_same_in_lmtp():
    dialogue = Dialogue(CONTINUE, WELCOME, make=LmtpServer, hello=b"LHLO x\r\n")
    assert dialogue.send("AUTH PLAIN") == "334 Z28gb24="
    assert dialogue.send(INITIAL) == "235 2.7.0 welcome"


def test_events_do_not_show_credentials():
    shown = f"{e.Auth('PLAIN', b'secret')!r} {e.AuthResponse(b'secret')!r}"
    assert "secret" not in shown
    assert shown == "Auth('PLAIN', ...) AuthResponse(...)"


@given(st.lists(st.text(max_size=30), max_size=6))
def test_no_response_authenticates_by_itself(lines):
    dialogue = Dialogue(*[CONTINUE] * 10)
    dialogue.send("AUTH X")
    for line in lines:
        if not dialogue.server.closed:
            dialogue.send(line)
    assert not dialogue.server.agreed.authenticated
