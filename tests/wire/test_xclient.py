import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.driver import HELLO, MAIL, RCPT, SPLITS, but, play

from gatepost.model.reply import Reply
from gatepost.wire import events as e
from gatepost.wire.smtp import State
from gatepost.wire.smtp.commands import OFFERED_COMMANDS, TRANSITIONS
from gatepost.wire.smtp.syntax.extensions import EXTENSIONS
from gatepost.wire.smtp.syntax.xclient import KEYWORD

OFFERED_TO = EXTENSIONS | {"XCLIENT"}
GREETING_AGAIN = Reply(220, "gate.example ESMTP")
ADDRESS = "expected an IPv4 address, or IPV6: and an IPv6 address"
SYNTAX = "501 5.5.4 Syntax error: expected XCLIENT attribute=value ..."
CHUNK = RCPT + b"BDAT 1\r\nx"
STATES = [b"", HELLO, MAIL, RCPT, CHUNK]


def trusted(data, split=SPLITS[0], answer=None):
    return play(data, split, answer or but({e.Xclient: GREETING_AGAIN}), extensions=OFFERED_TO)


def attributes(text):
    (event,) = trusted(f"XCLIENT {text}\r\n".encode()).of(e.Xclient)
    return event.attributes


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ADDR=192.0.2.7", {"ADDR": "192.0.2.7"}),
        ("addr=192.0.2.7 port=25", {"ADDR": "192.0.2.7", "PORT": "25"}),
        ("ADDR=IPV6:2001:DB8:0::7", {"ADDR": "2001:db8::7"}),
        ("ADDR=ipv6:::ffff:192.0.2.7", {"ADDR": "192.0.2.7"}),
        ("DESTADDR=::1", None),
        ("DESTADDR=IPV6:::1 DESTPORT=0", {"DESTADDR": "::1", "DESTPORT": "0"}),
        (
            "ADDR=[unavailable] NAME=[TempUnavail]",
            {"ADDR": "[UNAVAILABLE]", "NAME": "[TEMPUNAVAIL]"},
        ),
        ("NAME=a_b.example. PROTO=esmtp", {"NAME": "a_b.example.", "PROTO": "ESMTP"}),
        ("HELO=a+20b+3D LOGIN=user+2Btag", {"HELO": "a b=", "LOGIN": "user+tag"}),
        ("  HELO=x  ", {"HELO": "x"}),
        (f"HELO={'x' * 255}", {"HELO": "x" * 255}),
    ],
)
@pytest.mark.parametrize("verb", ["XCLIENT", "xClient"])
@pytest.mark.parametrize("split", SPLITS)
def test_valid_attributes_are_canonical(verb, text, found, split):
    played = trusted(f"{verb} {text}\r\n".encode(), split)
    assert [event.attributes for event in played.of(e.Xclient)] == ([found] if found else [])


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("", SYNTAX),
        ("ADDR", SYNTAX),
        ("FOO=bar", SYNTAX),
        ("ADDR=192.0.2.7 addr=192.0.2.8", SYNTAX),
        ("DE\u017fTADDR=192.0.2.7", SYNTAX),
        (
            "ADDR=",
            f"501 5.5.4 XCLIENT attribute ADDR: {ADDRESS}",
        ),
        (
            "ADDR=2001:db8::7",
            f"501 5.5.4 XCLIENT attribute ADDR: {ADDRESS}",
        ),
        (
            "DESTADDR=IPV6:fe80::1%25lo",
            f"501 5.5.4 XCLIENT attribute DESTADDR: {ADDRESS}",
        ),
        ("PORT=65536", "501 5.5.4 XCLIENT attribute PORT: expected a port"),
        ("DESTPORT=-1", "501 5.5.4 XCLIENT attribute DESTPORT: expected a port"),
        ("PROTO=LMTP", "501 5.5.4 XCLIENT attribute PROTO: expected SMTP or ESMTP"),
        ("NAME=a+20b", "501 5.5.4 XCLIENT attribute NAME: expected a host name"),
        ("HELO=", "501 5.5.4 XCLIENT attribute HELO: expected a value"),
        (
            "HELO=a+0D+0Ab",
            "501 5.5.4 XCLIENT attribute HELO: expected xtext of printable US-ASCII characters",
        ),
        ("LOGIN=a+2", "501 5.5.4 XCLIENT attribute LOGIN: expected xtext"),
        (
            f"LOGIN={'x' * 256}",
            "501 5.5.4 XCLIENT attribute LOGIN: expected at most 255 characters",
        ),
    ],
)
def test_malformed_attributes_are_refused(text, reply):
    played = trusted(HELLO + f"XCLIENT {text}\r\n".encode())
    assert played.replies[1:] == [reply]
    assert played.state is State.READY


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    ("reach", "reply", "state"),
    [
        (b"", "220 gate.example ESMTP", State.START),
        (HELLO, "220 gate.example ESMTP", State.START),
        (MAIL, "503 5.5.1 Bad sequence of commands: a transaction is already open", State.MAIL),
        (RCPT, "503 5.5.1 Bad sequence of commands: a transaction is already open", State.RCPT),
        (CHUNK, "503 5.5.1 Bad sequence of commands: expected BDAT or RSET", State.CHUNKING),
    ],
)
def test_xclient_is_refused_in_a_transaction(reach, reply, state, split):
    played = trusted(reach + b"XCLIENT HELO=x\r\n", split)
    assert played.replies[-1] == reply
    assert played.state is state


def test_xclient_after_a_refused_chunk_is_refused():
    refusal = Reply(550, "no", "5.7.1")
    answer = but({e.Bdat: refusal, e.Xclient: GREETING_AGAIN})
    played = trusted(RCPT + b"BDAT 1\r\nxXCLIENT HELO=x\r\n", answer=answer)
    assert played.replies[-1] == "503 5.5.1 Bad sequence of commands: the transaction has failed"
    assert played.state is State.SPOILED


def test_xclient_has_a_cell_for_every_state():
    assert "XCLIENT" in OFFERED_COMMANDS
    assert len(TRANSITIONS["XCLIENT"]) == len(State)


@pytest.mark.parametrize("reach", STATES)
@pytest.mark.parametrize("verb", ["XCLIENT", "xclient"])
def test_xclient_is_unknown_if_not_offered(reach, verb):
    played = play(reach + f"{verb} ADDR=192.0.2.7\r\n".encode())
    assert played.events[-1] == e.Unknown("XCLIENT", "ADDR=192.0.2.7")


def test_the_session_starts_again():
    played = trusted(HELLO + b"XCLIENT HELO=x\r\nMAIL FROM:<a@b>\r\n" + MAIL)
    assert [reply[:3] for reply in played.replies] == ["250", "220", "503", "250", "250"]


def test_a_refused_xclient_leaves_the_state():
    played = trusted(
        HELLO + b"XCLIENT HELO=x\r\n", answer=but({e.Xclient: Reply(421, "no", "4.7.0")})
    )
    assert played.state is State.READY


def test_the_keyword_lists_all_attributes():
    assert KEYWORD == "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=80))
def test_any_xtext_is_decoded(text):
    encoded = "".join(f"+{ord(one):02X}" for one in text)
    assert attributes(f"LOGIN={encoded}") == {"LOGIN": text}


@given(
    st.lists(
        st.sampled_from(
            ["ADDR=", "IPV6:", "::1", "+", "3D", " ", "HELO=", "[UNAVAILABLE]", "%", "é"]
        )
    ).map("".join)
)
def test_any_arguments_are_accepted_or_a_syntax_error(text):
    played = trusted(f"XCLIENT {text}\r\n".encode())
    assert [reply[:3] for reply in played.replies] in (["220"], ["501"])
