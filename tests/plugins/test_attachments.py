"""Forbidden files: decisions, results, marks and options of the plugin `attachments`."""

import asyncio
import threading
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.files import MALFORMED, PROGRAM, policy, sevenzip, with_file, with_part, zipped

from gatepost import Plugin
from gatepost.plugin.base import Installed
from gatepost.plugins import _attachments, attachments
from gatepost.plugins._unpacking import Budget
from gatepost.plugins.attachments import REASONS, Attachments, Kind
from gatepost.plugins.score import Score
from gatepost.testing import play, play_async

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
INSTALLER = bytes.fromhex("84100c0000000000c000000000000046")
NAMED = 'Content-Disposition: attachment; filename="{}"'
REFUSED = "554 5.7.1 Attachment a.exe refused: files of the type exe are not accepted*"


class Seen(Plugin):
    """Keeps the results."""

    after = frozenset({"attachments"})

    def __init__(self):
        super().__init__()
        self.results = []

    def after_message(self, tx, outcome):
        self.results += tx.results.all("attachments")


def transcript(content, reply="250"):
    lines = "".join(
        f"    C: {line}\n" for line in content.decode("utf-8", "surrogateescape").split("\r\n")
    )
    return (
        "    S: 220\n    C: EHLO client.example\n    S: 250\n    C: MAIL FROM:<a@client.example>\n"
        "    S: 250\n    C: RCPT TO:<user@example.com>\n    S: 250\n    C: DATA\n    S: 354\n"
        f"{lines}    C: .\n    S: {reply}\n"
    )


def send(content, reply="250", *, more=(), shadow=False, **options):
    """Send a message; return the results as pairs of a value and a name, and what was played."""
    seen = Seen()
    plugin = Installed(Attachments(**options), shadow=shadow)
    played = play(transcript(content, reply), [plugin, *more, seen])
    return [(one.value, one.facts.get("name")) for one in seen.results], played


def named(name):
    return with_part(NAMED.format(name))


def test_a_forbidden_extension_is_refused():
    results, played = send(named("a.exe"), REFUSED)
    assert results == [("extension", "a.exe")]
    assert [one.reason for one in played.decisions] == ["extension"]


@pytest.mark.parametrize("content", [named("a.pdf"), with_file(b"text", "a.docx.pdf")])
def test_other_files_are_clean(content):
    assert send(content)[0] == [("clean", None)]


def test_a_message_without_files_has_none():
    assert send(b"Subject: x\r\n\r\ntext")[0] == [("none", None)]
    assert send(with_part("Content-Type: text/html"))[0] == [("none", None)]


def test_the_text_of_the_reply_is_configured():
    send(named("a.exe"), "554 5.7.1 no a.exe*", text="no {name}")


def test_a_name_of_the_message_does_not_add_lines_to_the_reply():
    reply = "554 5.7.1 Attachment a250 ?.exe refused: files of the type exe are not accepted*"
    send(named("=?utf-8?Q?a=0D=0A250_=C3=A4.exe?="), reply)


def test_extensions_are_configured():
    assert send(named("a.exe"), extensions=["pdf"])[0] == [("clean", None)]
    refused = "554 5.7.1 Attachment a.pdf refused*"
    send(named("a.PDF"), refused, extensions=[".Pdf"])
    send(named("a.pdf"), refused, more_extensions=["pdf"])
    send(named("a.exe"), REFUSED, more_extensions=["pdf"])


def test_only_allowed_extensions_are_accepted():
    assert send(named("a.pdf"), allowed=["pdf"])[0] == [("clean", None)]
    refused = "554 5.7.1 Attachment a.odt refused: files of this type are not accepted*"
    assert send(named("a.odt"), refused, allowed=["pdf"])[0] == [("not_allowed", "a.odt")]
    assert send(named("a"), "554", allowed=["pdf"])[0] == [("not_allowed", "a")]


def test_a_name_that_is_cut_at_a_blank_is_allowed():
    content = with_part("Content-Disposition: attachment; filename=my file.pdf")
    assert send(content, allowed=["pdf"])[0] == [("clean", None)]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("application/x-msdownload", "unnamed.exe"),
        ("application/hta", "unnamed.hta"),
        ("application/x-sh", "unnamed.sh"),
    ],
)
def test_a_file_without_a_name_is_judged_by_its_type(kind, name):
    found, _ = send(with_part(f"Content-Type: {kind}"), "554", more_extensions=["sh"])
    assert found == [("extension", name)]


def test_a_text_that_is_attached_without_a_name_is_a_file():
    content = with_part("Content-Type: text/x-other", "Content-Disposition: attachment")
    assert send(content, "554", allowed=["pdf"])[0] == [("not_allowed", "unnamed")]


def test_exempt_names_are_not_checked():
    assert send(named("a.exe"), exempt=["^a[.]exe$"])[0] == [("clean", None)]
    content = with_file(zipped({"a.exe": PROGRAM}), "a.zip")
    assert send(content, exempt=["a[.]exe$"])[0] == [("clean", None)]
    both = with_part("Content-Disposition: attachment; filename=a.exe; filename=b.exe")
    assert send(both, "554", exempt=["^a[.]exe$"])[0][0][0] == "extension"


def test_a_program_with_another_name_is_refused():
    refused = "554 5.7.1 Attachment a.pdf refused: its content is of the type exe*"
    assert send(with_file(PROGRAM, "a.pdf"), refused)[0] == [("content", "a.pdf")]


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"L\x00\x00\x00\x01\x14\x02\x00", "a.txt"),
        (b"ITSF\x03\x00\x00\x00", "a.txt"),
        (bytes(0x8001) + b"CD001", "a.bin"),
        (OLE + bytes(99) + INSTALLER, "a.doc"),
        (b"MZ" + bytes(70), "a.txt"),
        (b"Rar!", None),
        (OLE + bytes(900), None),
        (b"MZ is how this text begins, and it is long enough to be a program.", None),
        (b"#!/bin/sh", None),
        (b"%PDF-1.4", None),
        (b"Windows Registry Editor Version 5.00", "a.txt"),
        (b"!<arch>\n", None),
    ],
)  # fmt: skip
def test_forbidden_types_are_found_by_their_first_octets(start, name):
    found, _ = send(with_file(start + bytes(100), name or "a.txt"), "*")
    assert [kind for kind, _ in found] == ["content" if name else "clean"]


def test_a_type_that_only_puremagic_has_is_found():
    """The first octets of the first file are those of two types."""
    found, _ = send(with_file(b"SQLite format 3\0" + bytes(80), "a.txt"), more_extensions=["db"])
    assert found == [("clean", None)]
    database = b"\x00\x01\x00\x00Standard ACE DB"
    found, _ = send(with_file(database, "a.txt"), "554", more_extensions=["accdb"])
    assert found == [("content", "a.txt")]


def test_a_double_extension_adds_points():
    double = [("double", "a.pdf.html")]
    assert send(named("a.pdf.html"))[0] == double
    assert send(named("a.pdf.zip"), after_documents=[])[0][0] == ("double", "a.pdf.zip")
    for name in ("a.tar.gz", "a.pdf.p7s", "a.docx.pdf", "2024.11.pdf", "v1.2.bin"):
        assert ("double", name) not in send(named(name))[0]


def test_points_are_those_of_score():
    results, _ = send(named("a.pdf.html"), "554", more=[Score(deny=3)])
    assert results[0][0] == "double"
    send(named("a.pdf.html"), more=[Score(deny=3.5)])


def test_two_findings_of_a_kind_add_their_points_once():
    content = with_file(zipped({"a.pdf.html": b"x", "b.pdf.html": b"x"}), "a.zip")
    results, _ = send(content, more=[Score(deny=5)])
    assert [one for one, _ in results] == ["double", "double"]


@pytest.mark.parametrize("word", ["deny", "defer", "none"])
def test_an_archive_with_a_password_has_its_own_reaction(word):
    reply = {"deny": "554 5.7.1*", "defer": "451 4.7.1*", "none": "250"}[word]
    content = with_file(sevenzip({"a.txt": b"x"}, password="secret"), "a.7z")
    assert send(content, reply, encrypted=word)[0] == [("encrypted", "a.7z")]


def test_a_refusal_comes_before_a_deferral():
    content = with_file(sevenzip({"a.exe": b"x"}, password="secret"), "a.7z")
    send(content, "554 5.7.1 Attachment a.exe*", encrypted="defer")


def test_a_finding_is_held():
    content = with_file(sevenzip({"a.txt": b"x"}, password="secret"), "a.7z")
    _, played = send(content, encrypted="hold", mark_header="X-Attachments")
    assert [one.quarantined for one in played.messages] == ["encrypted"]
    assert b"X-Attachments:" in delivered(played)


def test_a_message_with_a_held_finding_and_another_one_is_refused():
    content = with_file(sevenzip({"a.exe": b"x"}, password="secret"), "a.7z")
    send(content, "554", encrypted="hold")


def delivered(played):
    return bytes(played.messages[0].content)


def test_a_message_with_a_finding_is_marked():
    content = b"X-Attachment: forged\r\nSubject: hello\r\n" + named("ä.pdf.html")
    options = {"mark_header": "X-Attachment", "mark_subject": "[ATTACHMENT]"}
    _, played = send(content, **options)
    found = delivered(played)
    assert b"X-Attachment: double (?.pdf.html)\r\n" in found
    assert b"Subject: [ATTACHMENT] hello\r\n" in found
    assert b"forged" not in found
    _, played = send(b"X-Attachment: forged\r\nSubject: hello\r\n" + named("a.pdf"), **options)
    assert b"X-Attachment" not in delivered(played)
    assert b"Subject: hello\r\n" in delivered(played)


def test_a_large_message_is_not_checked():
    content = named("a.exe")
    refused = "552 5.3.4 Message is too large to be checked*"
    assert send(content, refused, largest=len(content) - 1)[0] == [("skipped", None)]
    assert send(content, largest=10, too_large="none")[0] == [("skipped", None)]
    send(content, REFUSED, largest=len(content) + 100)


@pytest.mark.parametrize(("option", "value"), [("parts", 1), ("levels", 1)])
def test_a_complex_message_is_refused_before_other_readers_run(monkeypatch, option, value):
    monkeypatch.setattr(_attachments, "other_names", lambda _content: pytest.fail("read"))
    inner = "Content-Type: message/rfc822"
    content = with_part(inner, body="Content-Type: message/rfc822\n\nSubject: x\n\nx")
    refused = "554 5.7.1 Attachment (without a name) refused: too many parts, or too deep*"
    assert send(content, refused, **{option: value})[0] == [("too_complex", "")]


def test_a_large_header_is_refused():
    send(b"X: " + b"x\r\n " * 70_000 + b"\r\n\r\ntext", "554")


def test_malformed_content_is_described():
    content = with_part("Content-Type: application/x", "Content-Transfer-Encoding: rot13")
    refused = "554 5.7.1 Attachment (without a name) refused: an unknown Content-Transfer-Encoding*"
    assert send(content, refused, malformed="deny")[0] == [("malformed", "")]


def test_a_name_that_only_another_reader_sees_is_judged(monkeypatch):
    monkeypatch.setattr(_attachments, "other_names", lambda _content: ["hidden.exe"])
    results, _ = send(named("a.pdf"), "554 5.7.1 Attachment hidden.exe*")
    assert results == [("extension", "hidden.exe"), ("malformed", "hidden.exe")]


def test_many_findings_are_few_results():
    content = with_file(zipped({f"{number}.exe": b"" for number in range(300)}), "a.zip")
    results, _ = send(content, "554")
    assert len(results) == 20


def test_in_shadow_mode_nothing_is_refused():
    results, played = send(named("a.exe"), shadow=True, extension="hold")
    assert results == [("extension", "a.exe")]
    assert len(played.messages) == 1


@given(MALFORMED, st.sampled_from([b"", PROGRAM, zipped({"a.exe": b"x"}), b"begin 644 a\n"]))
def test_any_message_is_inspected(content, more):
    inspection = _attachments.Inspection(policy(allowed=frozenset({"pdf"})), Budget())
    inspection.message(content + more + content)
    assert {one.kind for one in inspection.findings} <= set(REASONS)


def test_a_large_message_is_read_in_a_thread(monkeypatch):
    """The event loop is not held, however long it takes."""
    threads = []

    class Watched(_attachments.Inspection):
        def message(self, content):
            threads.append(threading.current_thread())
            super().message(content)

    monkeypatch.setattr(attachments, "Inspection", Watched)
    loops = []

    async def scenario():
        loops.append(threading.current_thread())
        content = with_file(b"x" * 3_000_000, "a.bin")
        await play_async(transcript(content), [Attachments()])

    asyncio.run(scenario())
    assert len(threads) == 1
    assert threads != loops


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"parts": 0}, "parts: expected 1 to 100000"),
        ({"depth": 21}, "depth: expected 1 to 20"),
        ({"seconds": 0}, "seconds: expected more than 0 seconds"),
        ({"encrypted": "keep"}, "encrypted"),
    ],
)
def test_wrong_options_are_errors(options, error):
    with pytest.raises(ValueError, match=error):
        Attachments(**options)


def test_without_the_libraries_the_error_names_the_package(monkeypatch):
    monkeypatch.setattr(attachments, "find_spec", lambda name: None if name == "py7zr" else name)
    with pytest.raises(ValueError, match=r"needs py7zr: pip install 'gatepost\[attachments\]'"):
        Attachments()


def test_each_kind_has_a_reaction_and_a_reason():
    fields = Attachments.Options.__struct_fields__
    assert set(get_args(Kind)) == set(REASONS) <= set(fields)
