"""The recipe for attachments, with messages of Python's email package."""

import io
import zipfile
from email.message import EmailMessage

import pytest
from examples.attachments import Attachments

from gatepost.testing import play

REFUSED = "554 5.7.1 attachments of this type are not accepted"


def archive(*names):
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w") as made:
        for name in names:
            made.writestr(name, "x" * 100)
    return octets.getvalue()


def message(name, content=b"MZ"):
    made = EmailMessage()
    made["Subject"] = "x"
    made.set_content("text")
    made.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return made.as_string()


@pytest.mark.parametrize(
    ("content", "reply"),
    [
        (message("a.pdf"), "250"),
        (message("a.exe"), REFUSED),
        (message("A.EXE"), REFUSED),
        (message("a.pdf.js"), REFUSED),
        (message("grüße.exe"), REFUSED),
        (message("a.pdf").replace('"a.pdf"', '"=?utf-8?q?a=2Eexe?="'), REFUSED),
        (message("a.zip", archive("a.txt", "b.txt")), "250"),
        (message("a.zip", archive("a.txt", "folder/b.exe")), REFUSED),
        (message("a.dat", archive("b.exe")), REFUSED),
        ("Subject: a.exe\n\na.exe", "250"),
        ("no header", "250"),
        ("Content-Type: multipart/mixed\n\nno boundary", "250"),
    ],
)
def test_names_decide(send, content, reply):
    play(send(content, reply), [Attachments()])


def test_the_names_are_an_option(send):
    play(send(message("a.exe")), [Attachments(refused=["[.]pdf$"])])
    play(send(message("a.pdf"), REFUSED), [Attachments(refused=["[.]pdf$"])])


def test_a_damaged_archive_is_deferred(send):
    damaged = archive("a.txt").replace(b"PK\x01\x02", b"PK\x01\x09")
    play(send(message("a.zip", damaged), "451"), [Attachments()])
