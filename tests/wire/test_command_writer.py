"""Commands as lines; our own server must read them back unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.driver import HELLO, MAIL, play

from gatepost.model.address import NULL_PATH, Address, AddressError
from gatepost.wire import events as e
from gatepost.wire.smtp import ProtocolError
from gatepost.wire.smtp.sending.command_writer import compose
from gatepost.wire.smtp.syntax.extensions import EXTENSIONS
from gatepost.wire.smtp.syntax.xtext import decode_xtext, encode_xtext

A = Address("a", "b")
LINES = [
    (e.Ehlo("mx.example"), b"EHLO mx.example"),
    (e.Helo("[192.0.2.1]"), b"HELO [192.0.2.1]"),
    (e.Mail(NULL_PATH, {}), b"MAIL FROM:<>"),
    (e.Mail(A, {"SIZE": "7", "BODY": "8BITMIME"}), b"MAIL FROM:<a@b> SIZE=7 BODY=8BITMIME"),
    (e.Mail(A, {"SMTPUTF8": "", "RET": "FULL"}), b"MAIL FROM:<a@b> SMTPUTF8 RET=FULL"),
    (e.Mail(A, {"ENVID": "q+1=x y"}), b"MAIL FROM:<a@b> ENVID=q+2B1+3Dx+20y"),
    (e.Mail(A, {"AUTH": "<>"}), b"MAIL FROM:<a@b> AUTH=<>"),
    (e.Rcpt(Address("Postmaster", ""), {}), b"RCPT TO:<Postmaster>"),
    (e.Rcpt(Address("a b", "c"), {"NOTIFY": "NEVER"}), b'RCPT TO:<"a b"@c> NOTIFY=NEVER'),
    (
        e.Rcpt(A, {"ORCPT": "rfc822;x+y@z"}),
        b"RCPT TO:<a@b> ORCPT=rfc822;x+2By@z",
    ),
    (e.Rcpt(Address("ü", "é"), {}), "RCPT TO:<ü@é>".encode()),
    (e.Data(), b"DATA"),
    (e.Bdat(5, last=True, first=True), b"BDAT 5 LAST"),
    (e.Bdat(5, last=False, first=True), b"BDAT 5"),
    (e.Rset(), b"RSET"),
    (e.Noop(), b"NOOP"),
    (e.Quit(), b"QUIT"),
    (e.StartTls(), b"STARTTLS"),
    (e.Auth("PLAIN", b"\0u\0p"), b"AUTH PLAIN AHUAcA=="),
    (e.Auth("PLAIN", b""), b"AUTH PLAIN ="),
    (e.Auth("LOGIN", None), b"AUTH LOGIN"),
    (e.AuthResponse(b"u"), b"dQ=="),
    (e.AuthResponse(b""), b""),
    (
        e.Xclient({"ADDR": "192.0.2.1", "NAME": "[UNAVAILABLE]", "HELO": "a=b"}),
        b"XCLIENT ADDR=192.0.2.1 NAME=[UNAVAILABLE] HELO=a+3Db",
    ),
]


@pytest.mark.parametrize(("command", "line"), LINES, ids=lambda value: str(value)[:40])
def test_a_command_is_one_line(command, line):
    assert compose(command) == line + b"\r\n"


def test_ehlo_is_lhlo_in_lmtp():
    assert compose(e.Ehlo("mx.example"), "LHLO") == b"LHLO mx.example\r\n"


IMPOSSIBLE = [
    e.Ehlo("a b"),
    e.Auth("A B", None),
    e.Ehlo(""),
    e.Ehlo("a\r\nRSET"),
    e.Mail(Address("a", "b> SIZE=1"), {}),
    e.Mail(Address("a\r\nRSET", "b"), {}),
    e.Mail(Address("a", "b\n"), {}),
    e.Mail(A, {"SIZE": "1\r\nRSET"}),
    e.Mail(A, {"SIZE": "1 RET=FULL"}),
    e.Mail(A, {"X Y": ""}),
    e.Mail(A, {"ENVID": "ü"}),
    e.Xclient({"HELO": "a\r\nRSET"}),
    e.Xclient({"HE\r\nRSET": "a"}),
    e.Content(b"x"),
    e.EndOfMessage(),
    e.Connected(),
]


@pytest.mark.parametrize("command", IMPOSSIBLE, ids=repr)
def test_a_command_that_is_not_one_line_is_refused(command):
    with pytest.raises(ProtocolError):
        compose(command)


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"])))
def test_xtext_reads_back(text):
    assert decode_xtext(encode_xtext(text)) == text


@pytest.mark.parametrize("text", ["\n", "\u00fc", "\x7f"])
def test_text_that_has_no_xtext_is_refused(text):
    with pytest.raises(ValueError, match="printable US-ASCII"):
        encode_xtext(text)


LOCALS = st.text(st.sampled_from('aZ0."\\ <>@,:;ü\r\n\0\t'), max_size=12)
DOMAINS = st.text(st.sampled_from("aZ0.-[]<> ü\r\n:"), max_size=12)


@given(LOCALS, DOMAINS)
def test_any_address_is_read_back_unchanged_or_not_sent(local, domain):
    address = Address(local, domain)
    for command, start, params in (
        (e.Mail, HELLO, {"SMTPUTF8": ""}),
        (e.Rcpt, MAIL.replace(b">\r\n", b"> SMTPUTF8\r\n"), {}),
    ):
        try:
            line = compose(command(address, params))
        except ProtocolError:
            continue
        played = play(start + line, extensions=EXTENSIONS)
        try:
            expected = address if not address.domain else Address.parse(str(address))
        except AddressError:
            continue
        assert played.events[-1] in (command(expected, params), *played.of(e.Fault))
        assert line.count(b"\n") == 1
