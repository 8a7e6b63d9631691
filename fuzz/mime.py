"""Any message is read: no exception, and parts within the content; so is any file in it.

The same octets are inspected as a message, and as an archive of each kind.
"""

import gzip
import io
import lzma
import sys
import tarfile
import zipfile
from contextlib import suppress
from email.message import EmailMessage

from fuzz.engine import Target, run
from gatepost.plugins._archives import EXTENSIONS, members
from gatepost.plugins._attachments import Inspection, Policy
from gatepost.plugins._mime import Limits, read
from gatepost.plugins._tnef import tnef_members
from gatepost.plugins._unpacking import BombError, BrokenError, Budget
from gatepost.plugins.mime import defects_of

POLICY = Policy(frozenset({"exe"}), limits=Limits(parts=50, depth=8))
TOKENS = [
    *(
        b"--b",
        b"--b--",
        b"\r\n",
        b"\r\n\r\n",
        b";",
        b'"',
        b"=",
        b"*0*=",
        b"utf-8''%",
        b"=?utf-8?B?",
    ),
    *(b"Content-Type: multipart/mixed; boundary=b\r\n", b"Content-Type: message/rfc822\r\n"),
    *(b"Content-Transfer-Encoding: base64\r\n", b"Content-Disposition: attachment; filename="),
    *(
        b"PK\3\4",
        b"PK\1\2",
        b"PK\5\6",
        b"Rar!\x1a\x07\x01\0",
        b"\x1f\x8b\x08",
        b"\xff" * 4,
        bytes(8),
    ),
]


def _zipped() -> bytes:
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.exe", b"text" * 20)
    return octets.getvalue()


def _tarred() -> bytes:
    octets = io.BytesIO()
    with tarfile.open(fileobj=octets, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.exe"))
    return octets.getvalue()


def _message(content: bytes) -> bytes:
    mail = EmailMessage()
    mail.set_content("text")
    mail.add_attachment(content, "application", "octet-stream", filename="a.zip")
    return mail.as_bytes()


# RAR 4, RAR 5 and TNEF, each with one file.
_OTHERS = [
    bytes.fromhex(
        "526172211a0700cf907300000d000000000000004d26740080250001000000010000000200000000"
        "000000001d30050000000000612e6578657804b07b00000700"
    ),
    bytes.fromhex(
        "526172211a070100c51a33320301000076c44d260d0200000000000005612e65786519b23a3503050000"
    ),
    bytes.fromhex("789f3e220100021080010005000000612e657865d101"),
]
ARCHIVES = [_zipped(), _tarred(), gzip.compress(_tarred()), lzma.compress(_tarred()), *_OTHERS]
SEEDS = [*ARCHIVES, *map(_message, ARCHIVES)]


def check(data: bytes) -> None:
    """Raise if the invariant does not hold."""
    for part in read(data).parts:
        assert 0 <= part.start <= part.end <= len(part.content)
    defects_of(data, POLICY.limits)
    Inspection(POLICY, Budget(octets=10_000_000)).message(data)
    for kind in set(EXTENSIONS.values()):
        with suppress(BombError, BrokenError):
            list(members(data, kind, f"x.{kind}", Budget(octets=10_000_000)))
    with suppress(BombError, BrokenError):
        list(tnef_members(data, Budget()))


if __name__ == "__main__":
    sys.exit(run(Target(check, SEEDS, TOKENS)))
