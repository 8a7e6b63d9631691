"""Names that are hidden from some readers of MIME: each is found, or the message is malformed."""

import base64
import binascii
import quopri

import pytest
from tests.plugins.files import findings, message, tnef, with_file, with_part, zipped

FOUND = {("extension", "a.exe")}
DISPOSITION = "Content-Disposition: attachment; "


@pytest.mark.parametrize(
    "field",
    [
        f"{DISPOSITION}filename=a.exe",
        f'{DISPOSITION}filename="a.exe"',
        f"{DISPOSITION}filename*0=a.; filename*1=exe",
        f"{DISPOSITION}filename*1=exe; filename*0=a.",
        f"{DISPOSITION}filename*0=a.txt; filename*0=a.exe",
        f"{DISPOSITION}filename*0=a.exe; filename*0=a.txt",
        f"{DISPOSITION}filename*1=a.; filename*0=exe",
        f"{DISPOSITION}filename*0=a. filename*1=exe",
        f"{DISPOSITION}filename*=utf-8''a%2Eexe",
        f"{DISPOSITION}filename*0*=utf-8''a%2E; filename*1=exe",
        f'{DISPOSITION}filename="=?utf-8?B?YS5leGU=?="',
        f'{DISPOSITION}filename="=?utf-8?Q?a.e?= =?utf-8?Q?xe?="',
        f'{DISPOSITION}filename="=?iso-2022-jp?B?YS5leGU=?="',
        f"{DISPOSITION}filename==?utf-8?B?YS5leGU=?=",
        f"{DISPOSITION}filename=a.txt; filename=a.exe",
        f"{DISPOSITION}filename=a.exe; filename=a.txt",
        f"{DISPOSITION}filename=a.txt; filename*=utf-8''a.exe",
        f"{DISPOSITION}filename=(comment)a.exe",
        f"{DISPOSITION}filename = a.exe (comment)",
        f'{DISPOSITION}filename="a.exe',
        f'{DISPOSITION}filename="a\\.exe"',
        f'{DISPOSITION}size="1 filename=a.exe',
        "Content-Disposition: attachment filename=a.exe",
        f"{DISPOSITION}FILENAME=A.EXE",
        f"{DISPOSITION}\tfilename\t=\t a.exe",
        f"{DISPOSITION}filename=C:\\x\\a.exe",
        f"{DISPOSITION}filename=a.exe .",
        f'{DISPOSITION}filename="a.exe. . ."',
        f'{DISPOSITION}filename="a.exe\0.txt"',
        f'{DISPOSITION}filename="a.exe:x.txt"',
        f'{DISPOSITION}filename="a\u200b.e\u00adxe"',
        f'{DISPOSITION}filename="\uff41.\uff45\uff58\uff45"',
        "Content-Disposition : attachment; filename=a.exe",
        "Content-Disposition: attachment;\r\n filename=a.exe",
        "Content-Disposition: attachment; file\r\n\tname=a.exe; filename=a.exe",
        "Content-Type: application/x; name=a.exe",
        "Content-Type: ; name=a.exe",
        "Content-Type: text/plain; name*0=a.e; name*1=xe",
        "Content-Disposition: inline\r\nContent-Disposition: attachment; filename=a.exe",
    ],
)
def test_a_name_in_an_odd_field_is_found(field):
    assert findings(with_part(*field.split("\r\n"))) >= FOUND


def test_a_name_behind_a_line_that_is_no_field_is_found():
    content = with_part("no field", f"{DISPOSITION}filename=a.exe")
    assert findings(content) >= FOUND


def test_a_name_in_the_header_of_the_message_is_found():
    assert findings(message(f"{DISPOSITION}filename=a.exe", body="x")) == FOUND


def nested(boundary, inner_boundary, *lines):
    return message(
        f"Content-Type: multipart/mixed; boundary={boundary}",
        body="\n".join(
            [
                f"--{boundary}",
                f"Content-Type: multipart/mixed; boundary={inner_boundary}",
                "",
                *lines,
            ]
        ),
    )


PART = ("Content-Type: application/x; name=a.exe", "", "x")


@pytest.mark.parametrize(
    "content",
    [
        nested("b", "c", "--c", *PART, "--c--", "--b--"),
        nested("b", "bb", "--bb", *PART, "--bb--", "--b--"),
        nested("bb", "b", "--b", *PART, "--b--", "--bb--"),
        nested("b", "b", "--b", *PART, "--b--"),
        nested("b", '"c "', "--c", *PART, "--c--"),
        nested("b", '"c', "--c", *PART),
        nested("b", "c\r\n\t; boundary=d", "--d", *PART),
        nested("b", "d; boundary=c", "--d", *PART),
        nested("b", "(comment)c", "--c", *PART),
        nested("b", "c*0=x", "--c*0=x", *PART),
        nested("b", "c", "--c--", "--c", *PART),
        nested("b", "c", "--b--", "--b", *PART),
        nested("b", "c", "--b", "", "text", "--c", *PART),
        nested("b", "c", "--c and more", *PART),
        nested("b", "c" * 100, f"--{'c' * 100}", *PART),
        nested("b", "c", "--c \t", *PART),
        nested("b", '""', "--c", *PART),
        message("Content-Type: multipart/mixed", body="\n".join(["--c", *PART])),
        message("Content-Type: multipart/mixed boundary=c", body="\n".join(["--c", *PART])),
        message("Content-Type: multipart / mixed; boundary=c", body="\n".join(["--c", *PART])),
        message(
            "Content-Type: text/plain",
            "Content-Type: multipart/mixed; boundary=c",
            body="\n".join(["--c", *PART]),
        ),
    ],
)
def test_odd_boundaries_do_not_hide_a_part(content):
    assert findings(content) >= FOUND


INNER = message("Subject: x", "Content-Type: application/x; name=a.exe", body="x")


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("7bit", INNER.decode()),
        ("base64", base64.encodebytes(INNER).decode()),
        ("BASE64 (comment)", base64.encodebytes(INNER).decode()),
        ("quoted-printable", quopri.encodestring(INNER).decode()),
    ],
)
def test_a_name_in_a_message_in_the_message_is_found(encoding, body):
    fields = ("Content-Type: message/rfc822", f"Content-Transfer-Encoding: {encoding}")
    assert findings(with_part(*fields, body=body)) >= FOUND


def test_a_name_in_a_message_that_is_attached_as_a_file_is_found():
    assert findings(with_file(INNER, "forwarded.eml")) == FOUND


def test_a_name_in_an_encoded_multipart_is_found():
    inner = base64.encodebytes(("\r\n".join(["--c", *PART, "--c--"])).encode()).decode()
    content = with_part(
        "Content-Type: multipart/mixed; boundary=c", "Content-Transfer-Encoding: base64", body=inner
    )
    assert findings(content) >= FOUND


@pytest.mark.parametrize(
    "attribute",
    [
        (0x00018010, b"a.exe\0"),
        (0x00069005, b"\1\0\0\0\x1e\0\x07\x37\1\0\0\0\6\0\0\0a.exe\0\0\0"),
        (0x00069005, b"\1\0\0\0\x1f\0\x07\x37\1\0\0\0\x0c\0\0\0" + "a.exe\0".encode("utf-16-le")),
    ],
)
def test_a_name_in_winmail_dat_is_found(attribute):
    assert findings(with_file(tnef(attribute), "winmail.dat")) == FOUND | {("tnef", "winmail.dat")}


@pytest.mark.parametrize("start", ["begin 644 a.exe", "=ybegin line=128 size=1 name=a.exe"])
def test_a_name_in_a_text_is_found(start):
    line = binascii.b2a_uu(b"MZ").decode()
    assert findings(message("Subject: x", body=f"text\n{start}\n{line}end")) == FOUND


def test_text_that_looks_like_uuencode_is_no_file():
    assert not findings(message("Subject: x", body="we begin 644 a.exe\nbegin now"))


def test_broken_base64_does_not_hide_a_content():
    program = base64.b64encode(b"\x7fELF" + bytes(60)).decode()
    fields = ("Content-Type: image/png; name=a.png", "Content-Transfer-Encoding: base64")
    body = f"!{program[:3]}*\n {program[3:]}"
    assert findings(with_part(*fields, body=body)) == {("content", "a.png"), ("malformed", "")}


def test_a_name_that_is_shown_in_another_order_is_deceptive():
    content = with_part(f'{DISPOSITION}filename="fdp\u202efdp.exe"')
    assert findings(content) >= {("extension", "fdpfdp.exe"), ("deceptive", "fdp?fdp.exe")}


def test_fields_that_the_email_package_cannot_read_do_not_stop_the_others():
    odd = "Content-Type: x/y; name*=utf\0x''a.exe"
    assert findings(with_part(odd)) >= FOUND
    boundary = message(
        "Content-Type: multipart/mixed; boundary*=utf\0x''c", body="\n".join(["--c", *PART])
    )
    assert findings(boundary) >= FOUND


def test_a_name_in_a_large_text_of_header_fields_is_found():
    """The email package does not read so much."""
    text = "a: b\n" * 500_000
    assert (
        findings(with_part("Content-Type: text/plain; name*0=a.e; name*1=xe", body=text)) == FOUND
    )


def test_few_files_in_texts_are_opened():
    line = binascii.b2a_uu(b"MZ").decode()
    body = "".join(f"begin 644 {number}.txt\n{line}end\n" for number in range(150))
    assert findings(message("Subject: x", body=body)) == {("oversized", "100.txt")}


def test_a_compressed_file_with_the_type_of_a_message_is_opened():
    content = base64.encodebytes(zipped({"a.exe": b"x"})).decode()
    fields = ("Content-Type: message/rfc822; name=x.zip", "Content-Transfer-Encoding: base64")
    assert findings(with_part(*fields, body=content)) >= FOUND
