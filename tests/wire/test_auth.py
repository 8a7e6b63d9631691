"""AUTH on the wire (RFC 4954): when it may come, what a response is, and what is told of it."""

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
from gatepost.wire.smtp.extensions import EXTENSIONS

WITH_AUTH = EXTENSIONS | {"AUTH"}
GO_ON = Reply(334, "Z28gb24=")
WELCOME = Reply(235, "welcome", "2.7.0")
WRONG = Reply(535, "wrong", "5.7.8")
INITIAL = b64(plain())
ALREADY = "503 5.5.1 Bad sequence of commands: already authenticated"
NOT_ALONE = "554 5.5.1 Improper command pipelining after AUTH"
BASE64 = "501 5.5.2 Syntax error: expected base64"
SYNTAX = "501 5.5.4 Syntax error: expected AUTH mechanism [initial-response]"
TOO_LONG = "500 5.5.6 Authentication exchange line is too long"
NEEDS_TLS = "538 5.7.11 Encryption required: STARTTLS first"


class Talk:
    """A client that waits for each answer; `replies` answer AUTH and its responses, in order."""

    def __init__(self, *replies, split=whole, make=SmtpServer, hello=HELLO):
        self.server = make(WireLimits(), extensions=WITH_AUTH)
        self.split = split
        self.events = []
        self.pending = list(replies)
        self.say("" if hello is None else hello.decode().strip())

    def say(self, line):
        """Send a line, "" for none; return what is answered."""
        out = b""
        for piece in self.split(f"{line}\r\n".encode() if line else b"") or [b""]:
            self.server.receive_data(piece)
            for event in drain(self.server):
                self.events.append(event)
                asked = isinstance(event, e.Auth | e.AuthResponse)
                out += self.server.send(self.pending.pop(0) if asked else usual(event))
        return out.decode().splitlines()[-1] if out else ""


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("verb", ["AUTH", "auth"])
def test_with_an_initial_response(verb, split):
    talk = Talk(WELCOME, split=split)
    assert talk.say(f"{verb} Plain {INITIAL}") == "235 2.7.0 welcome"
    assert talk.events[-1] == e.Auth("PLAIN", plain())
    assert talk.say("AUTH PLAIN") == ALREADY
    assert talk.say("MAIL FROM:<a@b> AUTH=<>") == "250 2.0.0 ok"
    assert talk.server.state is State.MAIL


@pytest.mark.parametrize("split", SPLITS)
def test_in_several_responses(split):
    talk = Talk(GO_ON, GO_ON, WELCOME, split=split)
    assert talk.say("AUTH LOGIN") == "334 Z28gb24="
    assert not talk.server.receiving
    assert talk.say(b64("alice")) == "334 Z28gb24="
    assert talk.say(b64("secret")) == "235 2.7.0 welcome"
    assert talk.events[-3:] == [
        e.Auth("LOGIN", None),
        e.AuthResponse(b"alice"),
        e.AuthResponse(b"secret"),
    ]
    assert talk.server.agreed.authenticated
    assert talk.say("NOOP") == "250 2.0.0 ok"


def test_refused_it_may_be_tried_again():
    talk = Talk(WRONG, GO_ON, WRONG, WELCOME)
    assert talk.say(f"AUTH PLAIN {INITIAL}") == "535 5.7.8 wrong"
    assert talk.say("AUTH PLAIN") == "334 Z28gb24="
    assert talk.say(INITIAL) == "535 5.7.8 wrong"
    assert not talk.server.agreed.authenticated
    assert talk.say(f"AUTH PLAIN {INITIAL}") == "235 2.7.0 welcome"


def test_the_empty_responses():
    talk = Talk(GO_ON)
    talk.say("AUTH X =")
    talk.server.receive_data(b"\r\n")
    (event,) = drain_one(talk.server)
    assert event == e.AuthResponse(b"")
    assert talk.events[-1] == e.Auth("X", b"")


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
def test_what_ends_the_exchange(response, reply, split):
    talk = Talk(GO_ON, WELCOME, split=split)
    talk.say("AUTH LOGIN")
    assert talk.say(response) == reply
    assert not talk.server.agreed.authenticated
    assert talk.say("NOOP") == "250 2.0.0 ok"
    assert talk.say("AUTH LOGIN") == "235 2.7.0 welcome"


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
def test_what_is_no_auth(line, reply):
    assert Talk().say(line) == reply


@pytest.mark.parametrize("cut", [0, 1, 3])
@pytest.mark.parametrize("behind", [b"NOOP\r\n", b"c2VjcmV0\r\n", b"x"])
def test_nothing_comes_behind_it(behind, cut):
    for command in (b"AUTH LOGIN\r\n", f"AUTH PLAIN {INITIAL}\r\n".encode()):
        played = play(HELLO + command + behind, lambda data: [data[: -cut or None]], **OFFERED)
        if cut < len(behind):
            assert played.replies[1:] == [NOT_ALONE]
            assert played.closed


OFFERED = {"extensions": WITH_AUTH}


def test_nothing_comes_behind_a_response():
    talk = Talk(GO_ON)
    talk.say("AUTH LOGIN")
    assert talk.say("YWxpY2U=\r\nc2VjcmV0") == NOT_ALONE
    assert talk.server.closed
    assert [type(one) for one in talk.events[-2:]] == [e.Auth, e.Fault]


@pytest.mark.parametrize("ending", ["\n", "\rx\r\n"])
def test_a_response_ends_with_crlf(ending):
    talk = Talk(GO_ON)
    talk.say("AUTH LOGIN")
    talk.server.receive_data(f"YWxpY2U={ending}".encode())
    (event,) = drain_one(talk.server)
    assert type(event) is e.Fault
    assert talk.server.closed == (ending == "\n")


@pytest.mark.parametrize("split", [whole, bytewise])
@pytest.mark.parametrize(("size", "fits"), [(MAX_RESPONSE - 4, True), (MAX_RESPONSE, False)])
def test_a_response_has_an_end(size, fits, split):
    talk = Talk(GO_ON, WRONG, split=split)
    talk.say("AUTH LOGIN")
    reply = talk.say("A" * size)
    assert reply == ("535 5.7.8 wrong" if fits else TOO_LONG)
    assert talk.server.closed != fits


def test_a_response_without_end_is_not_kept():
    talk = Talk(GO_ON)
    talk.say("AUTH LOGIN")
    talk.server.receive_data(b"A" * MAX_RESPONSE)
    (event,) = drain_one(talk.server)
    assert str(event.reply) == TOO_LONG


@pytest.mark.parametrize("reached", [MAIL, RCPT])
def test_not_in_a_transaction(reached):
    nested = "503 5.5.1 Bad sequence of commands: a transaction is already open"
    played = play(reached + b"AUTH PLAIN\r\nRSET\r\n", **OFFERED)
    assert played.replies[-2:] == [nested, "250 2.0.0 ok"]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("reach", [b"", HELLO, MAIL])
def test_where_it_is_not_offered_it_is_unknown(reach, split):
    played = play(reach + b"AUTH PLAIN c2VjcmV0\r\nMAIL FROM:<a@b> AUTH=<>\r\n", split)
    assert played.of(e.Unknown)[0].verb == "AUTH"
    assert not played.of(e.Auth)


def secret_server(make=SmtpServer):
    server = make(WireLimits(), extensions=EXTENSIONS | {"STARTTLS"})
    server.after_tls = frozenset({"AUTH"})
    return server


def answers(server, data):
    server.receive_data(data)
    replies = [server.send(usual(event)).decode().rstrip() for event in drain(server)]
    return replies[1:] if replies and replies[0].startswith("220 gate") else replies


def test_before_tls_it_is_refused_and_after_it_understood():
    server = secret_server()
    assert answers(server, b"AUTH PLAIN\r\n")[0].startswith("503")
    said = answers(server, HELLO + b"AUTH PLAIN c2VjcmV0\r\nAUTH\r\nMAIL FROM:<a@b> AUTH=<>\r\n")
    assert said[1:3] == [NEEDS_TLS] * 2
    assert said[3].startswith("555")
    answers(server, b"STARTTLS\r\n")
    server.start_tls()
    server.receive_data(HELLO + b"MAIL FROM:<a@b> AUTH=<>\r\nRSET\r\nAUTH PLAIN\r\n")
    kinds = []
    for event in drain(server):
        kinds.append(type(event))
        server.send(WELCOME if type(event) is e.Auth else usual(event))
    assert kinds == [e.Ehlo, e.Mail, e.Rset, e.Auth]
    assert server.agreed.authenticated


def test_lmtp_has_its_own_reply_out_of_order():
    server = secret_server(LmtpServer)
    assert answers(server, b"AUTH PLAIN\r\n") == ["503 5.5.1 Bad sequence of commands: LHLO first"]
    assert answers(server, b"LHLO x\r\nAUTH PLAIN\r\n")[1:] == [NEEDS_TLS]


def test_starttls_and_xclient_make_the_client_nobody():
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


def test_a_refused_xclient_leaves_who_the_client_is():
    server = SmtpServer(WireLimits(), extensions=WITH_AUTH | {"XCLIENT"})
    for data in (HELLO, b"AUTH PLAIN\r\n", b"XCLIENT HELO=x\r\n"):
        server.receive_data(data)
        for event in drain(server):
            replies = {e.Auth: WELCOME, e.Xclient: DENIED}
            server.send(replies.get(type(event)) or usual(event))
    assert server.agreed.authenticated


def test_lmtp():
    talk = Talk(GO_ON, WELCOME, make=LmtpServer, hello=b"LHLO x\r\n")
    assert talk.say("AUTH PLAIN") == "334 Z28gb24="
    assert talk.say(INITIAL) == "235 2.7.0 welcome"


def test_events_do_not_show_what_was_sent():
    shown = f"{e.Auth('PLAIN', b'secret')!r} {e.AuthResponse(b'secret')!r}"
    assert "secret" not in shown
    assert shown == "Auth('PLAIN', ...) AuthResponse(...)"


@given(st.lists(st.text(max_size=30), max_size=6))
def test_whatever_the_responses_are_nobody_is_authenticated_by_them(lines):
    talk = Talk(*[GO_ON] * 10)
    talk.say("AUTH X")
    for line in lines:
        if not talk.server.closed:
            talk.say(line)
    assert not talk.server.agreed.authenticated
