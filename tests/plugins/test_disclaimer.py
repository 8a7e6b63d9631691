"""A text at the end of outgoing mail, in messages of every form."""

import base64
import quopri
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.mails import (
    DOMAINS,
    LOGIN_CONFIG,
    RELAY_CONFIG,
    RELAY_PEER,
    Login,
    Seen,
    transcript,
)

from gatepost import Plugin
from gatepost.plugins._appended import Appendix, appended, new_boundary, text_part, wrapped
from gatepost.plugins.disclaimer import MAX_HEADER, MAX_TEXT, Disclaimer
from gatepost.testing import play

TEXT = "__\nConfidential.\nExample Ltd."
SIGNED = "DKIM-Signature: v=1; d=client.example; h=from; b=x"
PLAIN = ["From: a@example.com", "Subject: x"]


def sent(lines, *plugins, text=TEXT, login=True, config=LOGIN_CONFIG, peer=None, **options):
    """Play a message; return it parsed, its octets, and what was noted."""
    seen = Seen("disclaimer")
    more = {} if peer is None else {"peer": peer}
    chain = [Login(), *plugins, Disclaimer(text=text, **options), seen]
    script = transcript(lines, sender="a@example.com", login=login)
    played = play(script, chain, config=config, **more)
    (message,) = played.messages
    seen.edits = [one for one in seen.edits if one.endswith("(by disclaimer)")]
    return message_from_bytes(message.content, policy=policy.default), message.content, seen


def parts(message):
    """The parts that are not multipart, as type and decoded content."""
    leaves = [one for one in message.walk() if not one.is_multipart()]
    assert not any(one.defects for one in message.walk())
    return [(one.get_content_type(), unified(one.get_content())) for one in leaves]


def unified(content):
    return content.replace("\r\n", "\n") if isinstance(content, str) else content


def lines_of(message):
    return message.as_bytes(policy=policy.SMTP).decode().removesuffix("\r\n").split("\r\n")


def made(text, subtype="plain", charset="utf-8", cte=None):
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = "a@example.com"
    message["Subject"] = "x"
    message.set_content(text, subtype=subtype, charset=charset, cte=cte)
    return message


def test_a_plain_message_gets_the_text_behind_its_own():
    message, content, seen = sent([*PLAIN, "", "Hello", "", "Ann"])
    assert content.endswith(
        b"\r\n\r\nHello\r\n\r\nAnn\r\n\r\n__\r\nConfidential.\r\nExample Ltd.\r\n"
    )
    assert (seen.result.value, message.keys().count("Content-Type")) == ("appended", 0)
    assert seen.edits == ["body replaced: 49 octets (by disclaimer)"]


@pytest.mark.parametrize("cte", ["7bit", "8bit", "quoted-printable", "base64"])
@pytest.mark.parametrize("charset", ["us-ascii", "iso-8859-1", "utf-8"])
def test_the_encoding_of_a_text_stays(cte, charset):
    is_ascii = cte == "7bit" or charset == "us-ascii" or (cte, charset) == ("8bit", "iso-8859-1")
    text = "Hello = world.\nfrom me\n" if is_ascii else "gr\u00fc\u00dfe\n"
    message, _, seen = sent(lines_of(made(text, charset=charset, cte=cte)))
    assert message["Content-Transfer-Encoding"] == cte
    assert message.get_content_charset() == charset
    assert parts(message) == [("text/plain", f"{text}\n{TEXT}\n")]
    assert seen.result.value == "appended"


FOREIGN = "Vertraulich \u2013 \u4e2d\u6587"


@pytest.mark.parametrize(("charset", "cte"), [("iso-8859-1", "8bit"), ("utf-8", "7bit")])
def test_a_text_that_does_not_fit_becomes_a_part(charset, cte):
    message, _, seen = sent(lines_of(made("Hello\n", charset=charset, cte=cte)), text=FOREIGN)
    assert seen.result.value == "wrapped"
    assert parts(message) == [("text/plain", "Hello\n"), ("text/plain", FOREIGN)]
    assert message["Content-Transfer-Encoding"] == (None if cte == "7bit" else cte)


def test_text_with_flowed_lines_gets_a_space_in_front_of_special_lines():
    lines = [*PLAIN, "MIME-Version: 1.0", "Content-Type: text/plain; format=flowed", "", "Hello"]
    _, content, _ = sent(lines, text="From us\n> x\ny")
    assert content.endswith(b"Hello\r\n\r\n From us\r\n > x\r\ny\r\n")


@pytest.mark.parametrize("charset", ["utf-16", "utf-7", "iso-2022-jp", "unknown-8bit", "x;y"])
def test_a_text_in_another_character_set_is_wrapped(charset):
    lines = [*PLAIN, "MIME-Version: 1.0", f'Content-Type: text/plain; charset="{charset}"', "", "x"]
    _, content, seen = sent(lines)
    assert seen.result.value == "wrapped"
    assert f'Content-Type: text/plain; charset="{charset}"\r\n\r\nx\r\n'.encode() in content


HTML = "<html><body><p>Hi</p></BODY></html>\n"


@pytest.mark.parametrize("cte", ["7bit", "quoted-printable", "base64"])
def test_html_gets_html_before_the_end_of_its_body(cte):
    message, _, seen = sent(lines_of(made(HTML, "html", cte=cte)), html="<p>\u00a9\nEx</p>")
    expected = HTML.replace("</BODY>", "\n<p>&#169;\nEx</p>\n</BODY>")
    assert parts(message) == [("text/html", expected)]
    assert seen.result.value == "appended"


def test_html_without_an_end_gets_it_at_its_end():
    message, _, _ = sent(lines_of(made("<p>Hi\n", "html")), html="<p>Ex")
    assert parts(message) == [("text/html", "<p>Hi\n\n<p>Ex\n")]


def test_html_without_a_text_in_html_is_wrapped():
    message, _, _ = sent(lines_of(made(HTML, "html")))
    assert parts(message) == [("text/html", HTML), ("text/plain", TEXT)]


def test_a_multipart_message_is_wrapped_as_it_is():
    original = made("Hello\n")
    original.add_alternative(HTML, subtype="html")
    original.add_attachment(b"\0\1\2", maintype="application", subtype="x-data", filename="d")
    lines = lines_of(original)
    message, content, seen = sent(lines)
    assert (seen.result.value, message.get_content_type()) == ("wrapped", "multipart/mixed")
    first, second = message.iter_parts()
    assert parts(first) == parts(original)
    assert parts(second) == [("text/plain", TEXT)]
    assert "\r\n".join(lines[lines.index("") :]).encode() in content
    assert message.get_all("MIME-Version") == ["1.0"]


def test_a_message_of_one_file_is_wrapped():
    lines = [*PLAIN, "MIME-Version: 1.0", "Content-Type: application/pdf;", "\tname=x",
             "Content-Disposition: attachment", "Content-Transfer-Encoding: base64", "",
             base64.b64encode(b"%PDF").decode()]  # fmt: skip
    message, content, _ = sent(lines)
    assert parts(message) == [("application/pdf", b"%PDF"), ("text/plain", TEXT)]
    assert b"Content-Type: application/pdf;\r\n\tname=x\r\n" in content
    assert message["Content-Disposition"] is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Content-Type: multipart/signed; boundary=a", "protected"),
        ("Content-Type: Multipart/Encrypted; boundary=a", "protected"),
        ("Content-Type: application/pkcs7-mime; smime-type=signed-data", "protected"),
        ("Content-Type: multipart/report; boundary=a", "left"),
        ("Content-Type: text/calendar; method=REQUEST", "left"),
        ("Content-Type: text/plain\r\nContent-Type: text/html", "unreadable"),
        ("Content-Type : multipart/signed; boundary=a", "unreadable"),
        ("Content-Caf\u00e9: x", "unreadable"),
        ("not a field\r\nContent-Type: multipart/signed; boundary=a", "unreadable"),
        (SIGNED, "signed"),
        ("X: y" + "\r\n y" * (MAX_HEADER // 4), "unreadable"),
    ],
)
def test_some_messages_are_left_alone(field, value):
    lines = [*PLAIN, *field.split("\r\n"), "", "text"]
    _, content, seen = sent(lines)
    assert content.endswith("\r\n".join([*lines[2:], ""]).encode())
    assert (seen.result.value, seen.edits, seen.broken) == (value, [], [])


def test_inline_pgp_is_left_alone():
    _, _, seen = sent([*PLAIN, "", "-----BEGIN PGP SIGNED MESSAGE-----", "x"])
    assert (seen.result.value, seen.edits) == ("protected", [])


def test_a_signed_message_can_be_changed():
    _, _, seen = sent([SIGNED, *PLAIN, "", "text"], signed=True)
    assert (seen.result.value, seen.broken) == ("appended", ["DKIM-Signature of client.example"])


def test_the_text_is_not_added_twice():
    _, first, _ = sent([*PLAIN, "", "text"])
    lines = first[first.index(b"From: ") :].decode().removesuffix("\r\n").split("\r\n")
    assert sent(lines)[2].result.value == "present"
    _, first, _ = sent(lines_of(made(HTML, "html")))
    lines = first[first.index(b"From: ") :].decode().removesuffix("\r\n").split("\r\n")
    assert sent(lines)[2].result.value == "present"


DAMAGED = {
    "base64": "SGVsbG8=SGVsbG8=",
    "quoted-printable": "a=0Db",
    "x-unknown": "a",
}


@pytest.mark.parametrize("encoding", DAMAGED)
def test_a_text_that_cannot_be_decoded_is_wrapped(encoding):
    lines = [*PLAIN, "MIME-Version: 1.0", f"Content-Transfer-Encoding: {encoding}", "",
             DAMAGED[encoding]]  # fmt: skip
    _, content, seen = sent(lines)
    assert seen.result.value == "wrapped"
    assert f"\r\n\r\n{DAMAGED[encoding]}\r\n\r\n--=_".encode() in content


def test_fields_about_the_content_move_into_the_part():
    lines = [*PLAIN, "MIME-Version: 1.0", "Content-Type: application/x", "content-id: <1@a>",
             "Content-Foo: a", "Content-Foo: b", "", "x"]  # fmt: skip
    message, _, _ = sent(lines)
    first, _ = message.iter_parts()
    assert [first["Content-ID"], *first.get_all("Content-Foo")] == ["<1@a>", "a", "b"]
    assert message["Content-ID"] is None


def test_a_long_text_is_wrapped_in_pieces():
    lines = [*PLAIN, "", *["x" * 900] * (MAX_TEXT // 900 + 1)]
    message, _, seen = sent(lines)
    assert seen.result.value == "wrapped"
    assert [len(text) for _, text in parts(message)][1] == len(TEXT)


def test_a_message_that_would_be_too_large_stays():
    config = {**LOGIN_CONFIG, "limits": {"message_size": 2000}}
    lines = [*PLAIN, "", *["x" * 900] * 2]
    _, content, seen = sent(lines, text="y" * 900, config=config)
    assert (seen.result.value, content.count(b"y" * 900)) == ("failed", 0)


class Body(Plugin):
    """Replaces the body before the text is appended."""

    before = frozenset({"disclaimer"})

    def on_message(self, tx):
        tx.message.replace_body(b"another\r\n")


def test_edits_of_other_plugins_stay():
    _, content, _ = sent([*PLAIN, "", "text"], Body(), text="end")
    assert content.endswith(b"\r\n\r\nanother\r\n\r\nend\r\n")


def test_mail_of_strangers_stays():
    seen = Seen("disclaimer")
    play(transcript([*PLAIN, "", "x"]), [Disclaimer(text=TEXT), seen], config=DOMAINS)
    assert (seen.result, seen.edits) == (None, [])


@pytest.mark.parametrize(("relays", "value"), [(True, "appended"), (False, None)])
def test_mail_of_clients_that_may_relay(relays, value):
    more = {"login": False, "config": RELAY_CONFIG, "peer": RELAY_PEER}
    _, _, seen = sent([*PLAIN, "", "x"], relays=relays, **more)
    assert (seen.result.value if seen.result else None) == value


@pytest.mark.parametrize("text", ["", "\n", "a\rb", "a\0", "x" * 998])
def test_a_wrong_text_is_refused(text):
    with pytest.raises(ValueError, match="text: expected"):
        Disclaimer(text=text)


def test_the_configuration_has_a_warning():
    (usual,) = Disclaimer(text="x").warnings()
    (signed,) = Disclaimer(text="x", signed=True).warnings()
    assert usual in signed
    assert "signed = true" in signed


# properties


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=60)
NAMES = st.sampled_from(["7bit", "8bit", "quoted-printable", "base64", "x", ""])


@given(st.lists(TEXTS, min_size=1, max_size=4), NAMES, TEXTS)
def test_a_text_is_the_old_one_and_the_appendix(lines, encoding, more):
    text = "".join(f"{line}\r\n" for line in lines).encode()
    encoders = {"quoted-printable": quopri.encodestring, "base64": base64.encodebytes}
    body = encoders.get(encoding, bytes)(text.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    if encoding == "base64":
        body = base64.encodebytes(text).replace(b"\n", b"\r\n")
    head = (
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    fields = message_from_bytes(head.encode())
    new = appended(fields, body, Appendix(more))
    if new is None:
        assert encoding in ("x", "7bit", "")
        return
    assert new.count(b"\n") == new.count(b"\r\n") == new.count(b"\r")
    decoded = message_from_bytes(head.encode() + new).get_payload(decode=True)
    assert decoded == text + b"\r\n" + more.encode() + b"\r\n"


PARAMETERS = st.text("abc=;\"\\ '*0%()<>,\u00e9/?-", max_size=40)
TYPES = st.sampled_from(["text/plain", "text/html", "multipart/mixed", ""])


@given(TYPES, PARAMETERS, NAMES, st.binary(max_size=100))
def test_any_content_type_and_body_is_changed_or_not(kind, parameters, encoding, body):
    head = f"Content-Type: {kind}; {parameters}; charset=utf-8\r\n"
    fields = message_from_bytes(f"{head}Content-Transfer-Encoding: {encoding}\r\n\r\n".encode())
    new = appended(fields, body, Appendix("end", "<p>end"))
    assert new is None or (b"end" in new) or encoding == "base64"


@given(st.binary(max_size=200), TEXTS)
def test_a_wrapped_message_has_two_parts(body, text):
    body = body.replace(b"\r", b"").replace(b"\n", b"\r\n").replace(b"\0", b"")
    boundary = new_boundary()
    own = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: 8bit\r\n"
    octets = b"".join(wrapped(boundary, own, [body], text_part(text)))
    head = f'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n'
    message = message_from_bytes(head.encode() + octets)
    assert message.defects == []
    first, second = message.get_payload()
    assert first.get_payload(decode=True) == body
    assert second.get_payload(decode=True).decode().rstrip("\r\n") == text.rstrip("\r\n")
