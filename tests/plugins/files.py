"""Messages with files, and archives, for the tests of `attachments` and `mime`."""

import io
import struct
import tarfile
import zipfile
import zlib
from email.message import EmailMessage

import py7zr
from hypothesis import strategies as st

from gatepost.plugins._attachments import Inspection, Policy
from gatepost.plugins._file_names import AFTER_DOCUMENTS, FORBIDDEN
from gatepost.plugins._unpacking import Budget

# Pieces of which malformed messages consist.
PIECES = st.sampled_from(
    [
        *(b"--b", b"--c", b"--", b"\r\n", b"\r\n\r\n", b"\n", b" ", b";", b'"', b"\\", b"=", b"x"),
        *(b"Content-Type: multipart/mixed; boundary=b\r\n", b"boundary=c", b"message/rfc822"),
        *(
            b"Content-Type: ",
            b"Content-Transfer-Encoding: base64\r\n",
            b"name*0*=utf-8''%",
            b"\xff",
        ),
        *(b"Content-Disposition: attachment; filename=", b"=?utf-8?B?YQ==?=", b"begin 644 a\r\n"),
    ]
)
MALFORMED = st.lists(PIECES, max_size=60).map(b"".join) | st.binary(max_size=300)
PROGRAM = b"MZ" + bytes(58) + (64).to_bytes(4, "little") + b"PE\0\0" + bytes(100)


def message(*fields, body=""):
    """Return a message of header fields and a body, all lines with CRLF."""
    lines = [*fields, "", *body.split("\n")]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def with_part(*fields, body="x"):
    """Return a message with one part that has these fields."""
    inner = "\n".join([*fields, "", body])
    text = f"--b\n{inner}\n--b--\n"
    return message("MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b", body=text)


def with_file(content, name="file.bin"):
    """Return a message with a file."""
    mail = EmailMessage()
    mail["Subject"] = "x"
    mail.set_content("text\n")
    mail.add_attachment(content, "application", "octet-stream", filename=name)
    return mail.as_bytes().replace(b"\n", b"\r\n")


def policy(**changes):
    """Return the default policy with changes."""
    usual = Policy(frozenset(FORBIDDEN), after_documents=frozenset(AFTER_DOCUMENTS))
    return usual._replace(**changes)


def findings(content, budget=None, **changes):
    """Return what is found in a message: pairs of a kind and a name."""
    inspection = Inspection(policy(**changes), budget or Budget())
    inspection.message(content)
    return {(one.kind, one.name) for one in inspection.findings}


def zipped(files, compression=zipfile.ZIP_DEFLATED):
    """Return a ZIP archive."""
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return octets.getvalue()


def tarred(files, mode="w", **options):
    """Return a tar file."""
    octets = io.BytesIO()
    with tarfile.open(fileobj=octets, mode=mode, **options) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return octets.getvalue()


def sevenzip(files, **options):
    """Return a 7z archive."""
    octets = io.BytesIO()
    with py7zr.SevenZipFile(octets, "w", **options) as archive:
        for name, content in files.items():
            archive.writestr(content, name)
    return octets.getvalue()


def rar4(name, flags=0, data=b"x", more=b""):
    """Return a RAR archive of version 4 with one file; `more` is in front of its name."""
    main = _block(0x73, 0, bytes(6))
    sizes = struct.pack("<LL", len(data), len(data))
    file = sizes + b"\2" + bytes(8) + b"\x1d\x30" + struct.pack("<HL", len(name), 0) + more + name
    return b"Rar!\x1a\x07\x00" + main + _block(0x74, 0x8000 | flags, file) + data + _block(0x7B, 0)


def _block(kind, flags, rest=b""):
    head = struct.pack("<BHH", kind, flags, 7 + len(rest)) + rest
    return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head


def rar5(*blocks):
    """Return a RAR archive of version 5 with these blocks."""
    return b"Rar!\x1a\x07\x01\x00" + b"".join(map(_new_block, (b"\1\0\0", *blocks, b"\5\0\0")))


def rar5_file(name, extra=b""):
    """Return the block of a file without data."""
    flags = b"\1" + bytes([len(extra)]) if extra else b"\0"
    return b"\2" + flags + b"\0\0\0\0\0" + bytes([len(name)]) + name + extra


def _new_block(header):
    sized = bytes([len(header)]) + header
    return struct.pack("<L", zlib.crc32(sized)) + sized


def tnef(*attributes):
    """Return a TNEF file with pairs of an id and data."""
    rows = (
        struct.pack("<BLL", 2, key, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)
        for key, data in attributes
    )
    return b"\x78\x9f\x3e\x22\1\0" + b"".join(rows)
