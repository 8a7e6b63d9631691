import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.driver import HELLO, MAIL, play

from gatepost.wire import events as e
from gatepost.wire.smtp.syntax.extensions import EXTENSIONS
from gatepost.wire.smtp.syntax.xtext import decode_xtext

ALL = EXTENSIONS | {"AUTH"}


def mail(params, extensions=ALL):
    line = f"MAIL FROM:<a@b> {params}\r\n".encode()
    played = play(HELLO + line, extensions=extensions)
    return played.events[-1], played.replies[-1]


def rcpt(params, extensions=ALL):
    played = play(MAIL + f"RCPT TO:<a@b> {params}\r\n".encode(), extensions=extensions)
    return played.events[-1], played.replies[-1]


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("SIZE=0", {"SIZE": "0"}),
        ("size=99999999999999999999", {"SIZE": "99999999999999999999"}),
        ("BODY=8BITMIME", {"BODY": "8BITMIME"}),
        ("Body=7bit SMTPUTF8  SIZE=10", {"BODY": "7BIT", "SMTPUTF8": "", "SIZE": "10"}),
        ("RET=hdrs ENVID=QQ+3D314159", {"RET": "HDRS", "ENVID": "QQ=314159"}),
        ("AUTH=<>", {"AUTH": "<>"}),
        ("AUTH=e+3Dmc2@example.com", {"AUTH": "e=mc2@example.com"}),
    ],
)
def test_valid_mail_parameters_are_read(text, params):
    assert mail(text)[0].params == params


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("NOTIFY=never", {"NOTIFY": "NEVER"}),
        ("NOTIFY=SUCCESS,DELAY", {"NOTIFY": "SUCCESS,DELAY"}),
        ("ORCPT=rfc822;a+2Bb@c", {"ORCPT": "rfc822;a+b@c"}),
        ("ORCPT=utf-8;b\\x{FC}c@d", {"ORCPT": "utf-8;b\\x{FC}c@d"}),
    ],
)
def test_valid_rcpt_parameters_are_read(text, params):
    assert rcpt(text)[0].params == params


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("SIZE", "501 5.5.4 MAIL parameter SIZE: expected a number of octets"),
        ("SIZE=x", "501 5.5.4 MAIL parameter SIZE: expected a number of octets"),
        ("SIZE=-1", "501 5.5.4 MAIL parameter SIZE: expected a number of octets"),
        (f"SIZE={'9' * 21}", "501 5.5.4 MAIL parameter SIZE: expected a number of octets"),
        ("SIZE=", "501 5.5.4 Syntax error in MAIL parameter SIZE"),
        ("SIZE=1=2", "501 5.5.4 Syntax error in MAIL parameter SIZE"),
        ("SIZE=1 size=1", "501 5.5.4 Syntax error in MAIL parameter SIZE"),
        ("BODY=9BIT", "501 5.5.4 MAIL parameter BODY: expected one of 7BIT, 8BITMIME"),
        ("BODY=8B\u0131TMIME", "501 5.5.4 Syntax error in MAIL parameter BODY"),
        ("SMTPUTF8=yes", "501 5.5.4 MAIL parameter SMTPUTF8: expected no value"),
        ("ENVID", "501 5.5.4 MAIL parameter ENVID: expected xtext"),
        ("AUTH", "501 5.5.4 MAIL parameter AUTH: expected xtext"),
        ("ENVID=a+zz", "501 5.5.4 MAIL parameter ENVID: expected xtext"),
        ("ENVID=ü", "501 5.5.4 Syntax error in MAIL parameter ENVID"),
        (
            "ENVID=a+00",
            "501 5.5.4 MAIL parameter ENVID: expected xtext of printable US-ASCII characters",
        ),
        (
            "ENVID=+85",
            "501 5.5.4 MAIL parameter ENVID: expected xtext of printable US-ASCII characters",
        ),
        ("BINARY", "555 5.5.4 MAIL parameter not recognised: BINARY"),
        ("\u017fIZE=1", "555 5.5.4 MAIL parameter not recognised: ?IZE"),
        ("=1", "555 5.5.4 MAIL parameter not recognised: "),
        ("x" * 50, f"555 5.5.4 MAIL parameter not recognised: {'X' * 40}"),
        ("NOTIFY=NEVER", "555 5.5.4 MAIL parameter not recognised: NOTIFY"),
    ],
)
def test_invalid_mail_parameters_are_refused(text, reply):
    assert mail(text)[1] == reply


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("SIZE=1", "555 5.5.4 RCPT parameter not recognised: SIZE"),
        (
            "NOTIFY=NEVER,DELAY",
            "501 5.5.4 RCPT parameter NOTIFY: expected NEVER or some of SUCCESS, FAILURE, DELAY",
        ),
        ("ORCPT=a@b", "501 5.5.4 RCPT parameter ORCPT: expected type;address"),
        ("ORCPT=;a@b", "501 5.5.4 RCPT parameter ORCPT: expected type;address"),
        ("ORCPT=rfc822;ü@b", "501 5.5.4 RCPT parameter ORCPT: expected xtext"),
        ("ORCPT=utf-8;ü@b", "553 5.6.7 Non-ASCII address needs the SMTPUTF8 parameter"),
        ("ORCPT=rfc822;a+", "501 5.5.4 RCPT parameter ORCPT: expected xtext"),
    ],
)
def test_invalid_rcpt_parameters_are_refused(text, reply):
    assert rcpt(text)[1] == reply


@pytest.mark.parametrize(
    "text", ["RET=FULL", "ENVID=x", "AUTH=<>", "BODY=8BITMIME", "SIZE=5", "SMTPUTF8"]
)
def test_a_parameter_requires_its_extension(text):
    keyword = text.partition("=")[0]
    assert mail(text, frozenset())[1] == f"555 5.5.4 MAIL parameter not recognised: {keyword}"
    assert type(mail(text, ALL)[0]) is e.Mail


def test_smtputf8_is_refused_if_not_offered():
    line = "MAIL FROM:<ü@b> SMTPUTF8\r\n".encode()
    played = play(HELLO + line, extensions=frozenset({"SIZE"}))
    assert played.replies[-1] == "555 5.5.4 MAIL parameter not recognised: SMTPUTF8"


def test_an_original_recipient_in_utf8_is_stored_in_ascii():
    lines = "MAIL FROM:<a@b> SMTPUTF8\r\nRCPT TO:<a@b> ORCPT=UTF-8;jörg@bücher.example\r\n"
    played = play(HELLO + lines.encode())
    assert played.events[-1].params == {"ORCPT": r"UTF-8;j\x{F6}rg@b\x{FC}cher.example"}


@given(st.text(st.sampled_from("+0123456789ABCDEF aZ;<>=é\x7f"), max_size=30) | st.text())
def test_xtext_never_decodes_to_a_control_character(text):
    try:
        decoded = decode_xtext(text)
    except ValueError:
        return
    assert all(" " <= character <= "~" for character in decoded)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_xtext_is_decoded(text):
    encoded = "".join(f"+{ord(c):02X}" if c in "+=" or not "!" <= c <= "~" else c for c in text)
    assert decode_xtext(encoded) == text
