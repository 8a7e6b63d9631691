"""The defects of messages: each has its own reaction in the plugin `mime`."""

import threading

import pytest
from tests.plugins.files import message, with_part

from gatepost import Plugin
from gatepost.plugins import mime
from gatepost.plugins._mime_defects import AMBIGUOUS, DEFECTS
from gatepost.plugins.mime import EXCEEDED, Mime
from gatepost.plugins.score import Score
from gatepost.testing import play

VERSION = "MIME-Version: 1.0"
MIXED = "Content-Type: multipart/mixed; boundary={}"
BASE64 = "Content-Transfer-Encoding: base64"
QUOTED = "Content-Transfer-Encoding: quoted-printable"


def mixed(boundary, body):
    return message(VERSION, MIXED.format(boundary), body=body)


EXAMPLES = {
    "after_end": mixed("b", "--b\n\nx\n--b--\n--b\n\nx\n--b--"),
    "bad_encoding": with_part("Content-Transfer-Encoding: rot13"),
    "bad_header": with_part("no field"),
    "bad_type": with_part("Content-Type: text"),
    "bad_version": message("MIME-Version: 2.0", body="x"),
    "base64": with_part(BASE64, body="YQ==YQ"),
    "duplicate_field": with_part("Content-Type: text/plain", "Content-Type: text/html"),
    "duplicate_parameter": with_part("Content-Type: text/plain; name=a; name=b"),
    "encoded_container": with_part("Content-Type: message/rfc822", BASE64, body="U3ViamVjdDogeA=="),
    "external": with_part("Content-Type: message/external-body; access-type=x"),
    "fragment": with_part("Content-Type: message/partial; id=x; number=1"),
    "long_boundary": mixed("b" * 71, f"--{'b' * 71}\n\nx\n--{'b' * 71}--"),
    "long_field": with_part(f"Content-Type: text/plain; name={'x' * 9000}"),
    "no_boundary": message(VERSION, "Content-Type: multipart/mixed", body="--b\n\nx\n--b--"),
    "no_parts": mixed("b", "x"),
    "no_version": message(MIXED.format("b"), body="--b\n\nx\n--b--"),
    "nul": with_part(BASE64, body="YQBh"),
    "odd_boundary": mixed('"b#"', "--b#\n\nx\n--b#--"),
    "odd_delimiter": mixed("b", "--b\n\nx\n--b more\n\nx\n--b--"),
    "quoted_printable": with_part(QUOTED, body="a=xyz"),
    "repeated_boundary": mixed("b", f"--b\n{MIXED.format('b')}\n\n--b\n\nx\n--b--"),
    "unclosed": mixed("b", "--b\n\nx"),
    "undeclared_8bit": with_part(body="ä"),
    "undeclared_8bitmime": with_part("Content-Transfer-Encoding: 8bit", body="ä"),
    "undeclared_utf8": with_part("Content-Description: ä"),
    "too_many_parts": mixed("b", "--b\n\nx\n" * 12 + "--b--"),
    "too_deep": message(*(("Content-Type: message/rfc822", "") * 8)),
    "large_header": message(*(f"X-{number}: {'x' * 900}" for number in range(300)), body="x"),
}
# Defects that come with another one in these examples.
WITH = {
    "undeclared_8bit": {"undeclared_8bitmime"},
    "undeclared_utf8": {"undeclared_8bitmime"},
    "repeated_boundary": {"unclosed"},
}
LIMITS = {"parts": 10, "levels": 5}


class Seen(Plugin):
    """Keeps the results."""

    after = frozenset({"mime"})

    def __init__(self):
        super().__init__()
        self.results = []

    def after_message(self, tx, outcome):
        self.results += [one.value for one in tx.results.all("mime")]


def send(content, reply="250", parameters="", more=(), **options):
    """Send a message; return the values of the results, and what was played."""
    seen = Seen()
    lines = "".join(f"    C: {line}\n" for line in content.decode().split("\r\n"))
    transcript = (
        "    S: 220\n    C: EHLO client.example\n    S: 250\n"
        f"    C: MAIL FROM:<a@client.example>{parameters}\n    S: 250\n"
        "    C: RCPT TO:<user@example.com>\n    S: 250\n    C: DATA\n    S: 354\n"
        f"{lines}    C: .\n    S: {reply}\n"
    )
    played = play(transcript, [Mime(**(LIMITS | options)), *more, seen])
    return seen.results, played


def test_each_defect_has_an_example_and_an_option():
    names = {*DEFECTS, *(option for option, _ in EXCEEDED.values()), "undeclared_8bitmime"}
    assert set(EXAMPLES) == names
    assert names < set(Mime.Options.__struct_fields__)
    assert set(DEFECTS) > AMBIGUOUS


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_defect_is_found_and_refused(name):
    reactions = dict.fromkeys(EXAMPLES, "none") | {name: "deny"}
    results, played = send(EXAMPLES[name], "554 5.6.0 Malformed message: *", **reactions)
    assert set(results) == {name} | WITH.get(name, set())
    assert [one.reason for one in played.decisions] == [name.replace("_", "-")]


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_defect_can_be_accepted(name):
    results, _ = send(EXAMPLES[name], **dict.fromkeys(EXAMPLES, "none"))
    assert name in results


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: x\r\n\r\nx",
        with_part(),
        with_part("Content-Type: text/plain; charset=utf-8", BASE64, body="w6Q="),
        with_part("Content-Type: text/plain; charset=utf-16", BASE64, body="YQBh"),
        with_part(
            "Content-Type: application/x; name=a.bin",
            "Content-Disposition: attachment; filename*0=a.; filename*1=bin",
        ),
        mixed("b", f"--b\n{MIXED.format('b2')}\n\n--b2\n\nx\n--b2--\n--b--"),
        message("MIME-Version: 1.0 (by x)", body="x"),
    ],
)  # fmt: skip
def test_other_messages_are_clean(content):
    assert send(content, **dict.fromkeys(EXAMPLES, "deny"))[0] == ["clean"]


def test_points_are_those_of_score():
    assert send(EXAMPLES["after_end"], "554", more=[Score(deny=2)])[0] == ["after_end"]
    send(EXAMPLES["after_end"], more=[Score(deny=2.5)])


def test_a_refusal_comes_before_a_deferral():
    reactions = {"repeated_boundary": "defer", "unclosed": "deny"}
    refused = "554 5.6.0 Malformed message: a multipart without its end*"
    send(EXAMPLES["repeated_boundary"], refused, **reactions)
    deferred = "451 4.6.0 Malformed message: a boundary that two multiparts have*"
    send(EXAMPLES["repeated_boundary"], deferred, repeated_boundary="defer")


def test_parameters_of_mail_declare_octets_above_127():
    reactions = dict.fromkeys(EXAMPLES, "deny")
    eight_bit = EXAMPLES["undeclared_8bitmime"]
    assert send(eight_bit, parameters=" BODY=8BITMIME", **reactions)[0] == ["clean"]
    header = EXAMPLES["undeclared_utf8"]
    assert send(header, parameters=" SMTPUTF8", **reactions)[0] == ["clean"]
    send(header, "554", parameters=" BODY=8BITMIME", **reactions)


def test_a_large_message_is_not_checked():
    content = EXAMPLES["fragment"]
    assert send(content, largest=20)[0] == ["too_large"]
    send(content, "554 5.6.0 Malformed message: it is too large*", largest=20, too_large="deny")


def test_the_text_of_the_reply_is_configured():
    send(EXAMPLES["fragment"], "554 5.6.0 found: a fragment of a message*", text="found: {defect}")


def test_messages_are_read_in_a_thread(monkeypatch):
    threads = []
    real = mime.defects_of
    monkeypatch.setattr(
        mime, "defects_of", lambda *args: threads.append(threading.current_thread()) or real(*args)
    )
    send(with_part())
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


@pytest.mark.parametrize("options", [{"parts": 0}, {"levels": 101}])
def test_wrong_limits_are_errors(options):
    with pytest.raises(ValueError, match="expected 1 to 100000 parts and 1 to 100 levels"):
        Mime(**options)
