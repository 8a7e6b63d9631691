"""Archives as attached files: names, passwords, damage, archives in archives, bombs."""

import bz2
import gzip
import lzma
import struct
import subprocess
import zipfile
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.files import (
    PROGRAM,
    findings,
    rar4,
    rar5,
    rar5_file,
    sevenzip,
    tarred,
    tnef,
    with_file,
    zipped,
)

from gatepost.plugins import _unpacking
from gatepost.plugins._archives import LISTED_ONLY, kind_of, members
from gatepost.plugins._tnef import tnef_members
from gatepost.plugins._unpacking import BombError, BrokenError, Budget

FILES = {"folder/a.txt": b"text", "folder/b.exe": b"text"}
FOUND = {("extension", "b.exe")}


def by_name(value):
    """The name of a case: archives with a password differ in each process."""
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.zip", zipped(FILES)),
        ("x.zip", zipped(FILES, zipfile.ZIP_STORED)),
        ("x.zip", zipped(FILES, zipfile.ZIP_LZMA)),
        ("x.pdf", zipped(FILES)),
        ("x.zip", b"#!/bin/sh\n"[:2] + zipped(FILES)),
        ("x.tar", tarred(FILES)),
        ("x.tgz", tarred(FILES, "w:gz")),
        ("x.tar.bz2", tarred(FILES, "w:bz2")),
        ("x.tar.xz", tarred(FILES, "w:xz")),
        ("x.7z", sevenzip(FILES)),
        ("x.rar", rar4(b"folder\\b.exe")),
        ("x.rar", rar5(rar5_file(b"folder/b.exe"))),
        ("b.exe.gz", gzip.compress(b"text")),
        ("b.exe.bz2", bz2.compress(b"text")),
        ("b.exe.xz", lzma.compress(b"text")),
    ],
    ids=by_name,
)
def test_names_in_archives_are_found(name, content):
    assert findings(with_file(content, name)) == FOUND


def test_a_name_that_only_one_directory_of_a_zip_file_has_is_found():
    first, second = zipped({"b.exe": b"text"}), zipped({"a.txt": b"text"})
    assert findings(with_file(first + second, "x.zip")) >= FOUND
    assert findings(with_file(second + first, "x.zip")) >= FOUND
    local = first.replace(b"b.exe", b"b.txt", 1)
    assert findings(with_file(local, "x.zip")) >= FOUND
    directory = zipped({"b.exe": b"text"})
    at = directory.rfind(b"b.exe")
    assert findings(with_file(directory[:at] + b"b.txt" + directory[at + 5 :], "x.zip")) >= FOUND


def test_a_program_in_an_archive_is_found_by_its_content():
    files = {"a.pdf": PROGRAM}
    for name, content in (("x.zip", zipped(files)), ("x.tgz", tarred(files, "w:gz"))):
        assert findings(with_file(content, name)) == {("content", "a.pdf")}


@pytest.mark.parametrize(
    "names",
    [
        {"n" * 150 + "/b.exe": b"text"},  # a long name, in the form of GNU or of pax
        {"é/b.exe": b"text"},
    ],
)
@pytest.mark.parametrize("form", [0, 1, 2])
def test_names_in_all_formats_of_tar_are_found(names, form):
    assert findings(with_file(tarred(names, format=form), "x.tar")) == FOUND


def test_files_behind_the_end_of_a_tar_file_are_found():
    content = tarred({"a.txt": b"text"}) + tarred(FILES)
    assert findings(with_file(content, "x.tar")) == FOUND
    assert findings(
        with_file(gzip.compress(content[:10240]) + gzip.compress(content), "x.tgz")
    ) == (FOUND)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.7z", sevenzip({"a.txt": b"x"}, password="secret")),
        ("x.7z", sevenzip({"a.txt": b"x"}, password="secret", header_encryption=True)),
        ("x.rar", rar4(b"a.txt", flags=4)),
        ("x.rar", b"Rar!\x1a\x07\x00\0\0\x73\x80\0\x0d\0" + bytes(6)),
        ("x.rar", rar5(rar5_file(b"a.txt", extra=b"\2\1\0"))),
        ("x.rar", rar5(b"\4\0\0\0\0")),
    ],
    ids=by_name,
)
def test_archives_with_a_password_are_found(name, content):
    assert findings(with_file(content, name)) == {("encrypted", name)}


def test_a_zip_file_with_a_password_is_found():
    content = bytearray(zipped({"a.txt": b"text"}))
    content[6] |= 1  # the flags of the file, and those in the directory
    content[content.find(b"PK\1\2") + 8] |= 1
    assert findings(with_file(bytes(content), "x.zip")) == {("encrypted", "x.zip")}


def test_a_name_in_an_archive_with_a_password_is_found():
    content = sevenzip({"b.exe": b"x"}, password="secret")
    assert findings(with_file(content, "x.7z")) == {("encrypted", "x.7z"), *FOUND}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.zip", b"text"),
        ("x.zip", zipped({"a.txt": b"text"})[:-20]),
        ("x.zip", zipped({"a.zip": b"PK\5\6data"}, zipfile.ZIP_STORED).replace(b"data", b"dato")),
        ("x.tar", tarred({"a.txt": b"text" * 1000})[:1500]),
        ("x.tar", tarred({"a.txt": b"text"})[:1024] + b"x" * 512),
        ("x.tgz", gzip.compress(b"text")[:-9]),
        ("x.gz", gzip.compress(b"text" * 100)[:30] + b"damage" * 10),
        ("x.xz", lzma.compress(b"text")[:-3]),
        ("x.7z", sevenzip({"a.txt": b"x"})[:-10]),
        ("x.7z", b"7z\xbc\xaf\x27\x1c"),
        ("x.rar", rar4(b"a.txt")[:40]),
        ("x.rar", rar5(rar5_file(b"a.txt"))[:20]),
        ("x.rar", b"Rar!\x1a\x07\x00" + bytes(20)),
        ("x.rar", b"Rar!\x1a\x07\x01\x00" + b"\xff" * 40),
        ("winmail.dat", tnef((0x18010, b"a.txt\0"))[:20]),
        ("winmail.dat", tnef() + b"x"),
    ],
    ids=by_name,
)
def test_archives_that_cannot_be_read_are_found(name, content):
    found = findings(with_file(content, name))
    assert {kind for kind, _ in found} - {"tnef"} == {"broken"}


def in_each_other(levels):
    content = zipped({"a.txt": b"text"})
    for _ in range(levels - 1):
        content = zipped({"x.zip": content})
    return content


def test_archives_in_archives_are_opened_to_a_depth():
    assert not findings(with_file(in_each_other(3), "x.zip"))
    assert findings(with_file(in_each_other(4), "x.zip")) == {("nested", "x.zip")}
    assert findings(with_file(zipped({"x.tgz": tarred(FILES, "w:gz")}), "x.zip")) == FOUND
    assert findings(with_file(zipped({"x.bin": zipped(FILES)}), "x.zip")) == FOUND
    assert findings(with_file(tarred({"x.zip": zipped(FILES)}), "x.tar")) == FOUND


def test_archives_in_archives_that_are_only_listed_are_nested():
    assert findings(with_file(sevenzip({"a.zip": b"x"}), "x.7z")) == {("nested", "a.zip")}
    assert findings(with_file(rar4(b"a.zip"), "x.rar")) == {("nested", "a.zip")}


def test_an_archive_with_too_many_files_is_oversized():
    content = zipped({f"{number}.txt": b"" for number in range(10_001)}, zipfile.ZIP_STORED)
    assert findings(with_file(content, "x.zip")) == {("oversized", "x.zip")}
    less = zipped({f"{number}.txt": b"" for number in range(40)})
    assert findings(with_file(less, "x.zip"), Budget(entries=10)) == {("oversized", "x.zip")}
    files = {f"{number}.txt": b"" for number in range(40)}
    for name, content in (("x.tar", tarred(files)), ("x.7z", sevenzip(files))):
        assert findings(with_file(content, name), Budget(entries=10)) == {("oversized", name)}


def test_a_forbidden_name_is_found_in_an_archive_with_too_many_files():
    content = zipped({"b.exe": b"", **{f"{number}.txt": b"" for number in range(10_001)}})
    assert findings(with_file(content, "x.zip")) == {("oversized", "x.zip"), *FOUND}


ZEROS = bytes(2_000_000)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.zip", zipped({"a.txt": ZEROS})),
        ("x.zip", zipped({"a.zip": zipped({"a.txt": ZEROS})})),
        ("x.gz", gzip.compress(ZEROS)),
        ("x.tgz", tarred({"a.txt": ZEROS}, "w:gz")),
        ("x.tar.bz2", tarred({"a.txt": ZEROS}, "w:bz2")),
        ("x.tar.xz", tarred({"a.txt": ZEROS}, "w:xz")),
    ],
    ids=by_name,
)
def test_a_bomb_is_found_by_its_ratio(name, content):
    found = findings(with_file(content, name), Budget(octets=100_000, ratio=20))
    assert {kind for kind, _ in found} == {"bomb"}
    assert not findings(with_file(content, name), Budget(octets=10_000_000))


def test_much_content_without_a_high_ratio_is_oversized():
    content = tarred({"a.txt": bytes(range(256)) * 4000}, "w:gz")
    budget = Budget(octets=100_000, ratio=100_000)
    assert findings(with_file(content, "x.tgz"), budget) == {("oversized", "x.tgz")}


def test_a_bomb_of_many_layers_ends_at_the_depth():
    content = zipped({"a.txt": ZEROS})
    for _ in range(5):
        content = zipped({f"{number}.zip": content for number in range(8)})
    assert {kind for kind, _ in findings(with_file(content, "x.zip"))} == {"nested"}


def test_a_large_archive_in_an_archive_is_oversized(monkeypatch):
    inner = zipped({"a.bin": b"x" * 5000}, zipfile.ZIP_STORED)
    monkeypatch.setattr("gatepost.plugins._archives.LARGEST_MEMBER", 4000)
    monkeypatch.setattr("gatepost.plugins._tar.LARGEST_MEMBER", 4000)
    monkeypatch.setattr(_unpacking, "LARGEST_MEMBER", 4000)
    for name, content in (
        ("x.zip", zipped({"a.zip": inner})),
        ("x.tar", tarred({"a.zip": inner})),
        ("a.zip.gz", gzip.compress(inner)),
    ):
        assert findings(with_file(content, name)) == {("oversized", name)}


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tgz", "x.7z", "x.rar"])
def test_the_time_for_archives_is_limited(name):
    content = {
        "x.zip": zipped(FILES),
        "x.tar": tarred(FILES),
        "x.tgz": tarred(FILES, "w:gz"),
        "x.7z": sevenzip(FILES),
        "x.rar": rar4(b"a.txt"),
    }[name]
    times = iter((0.0, *[100.0] * 100))
    budget = Budget(seconds=10, now=lambda: next(times))
    found = findings(with_file(content, name), budget)
    assert ("slow", name) in found


def test_a_7z_archive_with_a_large_header_is_not_decompressed():
    header = struct.pack("<QQL", 0, 600_000, 0)
    content = b"7z\xbc\xaf\x27\x1c\0\4" + bytes(4) + header + bytes(600_000)
    assert findings(with_file(content, "x.7z")) == {("oversized", "x.7z")}
    many = sevenzip({f"{'n' * 100}{number}": b"" for number in range(3000)})
    assert findings(with_file(many, "x.7z")) == {("oversized", "x.7z")}


def test_a_7z_archive_with_a_large_dictionary_is_not_decompressed():
    """The header is packed with LZMA or LZMA2, and a dictionary of 4 GiB."""
    for coder in (b"\x23\x03\x01\x01\5\x5d\xff\xff\xff\xff", b"\x21\x21\1\x28"):
        header = b"\x17\6\0\1\x09\x20\0\7\x0b\1\0\1" + coder + b"\x0c\x64\0\0"
        sizes = struct.pack("<QQ", 32, len(header))
        start = b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<L", zlib.crc32(sizes))
        content = start + sizes + bytes(36) + header
        assert findings(with_file(content, "x.7z")) == {("oversized", "x.7z")}


def test_a_comment_in_a_rar_archive_starts_no_program(monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_args, **_options: pytest.fail("a program"))
    comment = (
        struct.pack("<LL", 4, 4) + b"\2" + bytes(8) + b"\x1d\x33" + b"\3\0" + bytes(4) + b"CMT"
    )
    block = struct.pack("<HBHH", 0, 0x7A, 0x8000, 7 + len(comment)) + comment + b"data"
    content = rar4(b"b.exe")
    content = content[:20] + block + content[20:]
    assert findings(with_file(content, "x.rar")) == FOUND


def test_a_unicode_name_in_a_rar_archive_is_decoded():
    """The short form of the name has another extension than the long one."""
    name = b"b.txt\0" + b"\0\x00" + b"b.ex" + b"\x00" + b"e"
    assert findings(with_file(rar4(name, flags=0x200), "x.rar")) == FOUND


def test_a_large_file_in_a_rar_archive_has_a_longer_header():
    assert findings(with_file(rar4(b"b.exe", flags=0x100, more=bytes(8)), "x.rar")) == FOUND


def test_office_documents_are_packages():
    content = zipped({"[Content_Types].xml": b"x", "word/document.xml": b"x", "word/a.bin": b"x"})
    allowed = frozenset({"docx"})
    assert not findings(with_file(content, "a.docx"), allowed=allowed)
    assert ("not_allowed", "document.xml") in findings(
        with_file(content, "a.zip"), allowed=frozenset({"zip"})
    )


ARCHIVES = (
    *(zipped(FILES), tarred(FILES), tarred(FILES, "w:gz"), sevenzip(FILES)),
    *(rar4(b"b.exe"), rar5(rar5_file(b"b.exe")), gzip.compress(b"x"), bz2.compress(b"x")),
    *(lzma.compress(b"x"), zipped({"x.tgz": tarred(FILES, "w:gz")})),
)


@given(st.sampled_from(ARCHIVES), st.data())
def test_a_damaged_archive_raises_nothing_else(content, data):
    kind = kind_of(content)
    octets = bytearray(content)
    for _ in range(data.draw(st.integers(1, 5))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    octets = octets[: data.draw(st.integers(0, len(octets)))] or octets
    try:
        for member in members(bytes(octets), kind, f"x.{kind}", Budget(octets=1_000_000)):
            assert isinstance(member.name, str)
            if member.head is not None and member.read is not None:
                assert member.read().startswith(member.head()) or kind == "zip"
            else:
                assert kind in {*LISTED_ONLY, "zip"}
    except (BombError, BrokenError):
        pass


@given(st.sampled_from(["zip", "tar", "gz", "bz2", "xz", "7z", "rar"]), st.binary(max_size=300))
def test_any_octets_are_an_archive_or_raise_the_two_errors(kind, octets):
    starts = {
        "7z": b"7z\xbc\xaf\x27\x1c\0\4",
        "rar": b"Rar!\x1a\x07\x01\x00",
        "gz": b"\x1f\x8b\x08",
    }
    with suppress(BombError, BrokenError):
        list(members(starts.get(kind, b"") + octets, kind, "x", Budget()))


@given(st.binary(max_size=300))
def test_any_octets_are_tnef_or_broken(octets):
    with suppress(BombError, BrokenError):
        list(tnef_members(b"\x78\x9f\x3e\x22\1\0" + octets, Budget()))


def test_each_file_of_a_zip_file_is_counted_once():
    content = zipped({f"{number}.txt": b"" for number in range(10)})
    assert not findings(with_file(content, "x.zip"), Budget(entries=10))
    assert findings(with_file(content, "x.zip"), Budget(entries=9)) == {("oversized", "x.zip")}


def test_a_damaged_file_does_not_hide_the_others():
    files = {"a.bin": b"data", "b.pdf": PROGRAM}
    content = zipped(files, zipfile.ZIP_STORED).replace(b"data", b"dato")
    assert findings(with_file(content, "x.zip")) == {("broken", "x.zip"), ("content", "b.pdf")}


def test_a_program_in_winmail_dat_is_found_by_its_content():
    content = tnef((0x18010, b"a.txt\0"), (0x6800F, PROGRAM))
    assert findings(with_file(content, "winmail.dat")) >= {("content", "")}


def test_a_tar_file_with_a_wrong_size_is_broken():
    for size in (b"9" * 11, b"\xff" * 11, b"\x80" + b"\xff" * 10):
        header = bytearray(tarred({"b.exe": b"text"})[:512])
        header[124:135] = size
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        found = findings(with_file(bytes(header) + bytes(1024), "x.tar"))
        assert ("broken", "x.tar") in found


def test_a_long_name_in_a_tar_file_is_limited():
    content = tarred({"n" * 70_000: b"x"}, format=1)
    assert findings(with_file(content, "x.tar")) == {("oversized", "x.tar")}


@pytest.mark.parametrize("content", [rar4(b"b.exe"), rar5(rar5_file(b"b.exe"))], ids=["4", "5"])
def test_a_rar_archive_with_a_wrong_length_of_a_name_is_broken(content):
    at = content.find(b"b.exe")
    length = at - 1 if content.startswith(b"Rar!\x1a\x07\x01") else at - 6
    damaged = content[:length] + b"\x70" + content[length + 1 :]
    assert findings(with_file(damaged, "x.rar")) == {("broken", "x.rar")}


def test_other_blocks_of_a_rar_archive_are_passed_over():
    other = struct.pack("<HBHHL", 0, 0x78, 0x8000, 11, 5) + b"12345"
    content = rar4(b"b.exe")
    assert findings(with_file(content[:20] + other + content[20:], "x.rar")) == FOUND


def test_a_7z_archive_with_an_unusual_header_is_broken():
    header = b"\x17\6\0\1\x09\x20\0\7\x0b\1\0\1\x03\x03\x04\x01\x0c\x64\0\0"  # PPMd
    sizes = struct.pack("<QQ", 32, len(header))
    start = b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<L", zlib.crc32(sizes))
    found = findings(with_file(start + sizes + bytes(36) + header, "x.7z"))
    assert found == {("broken", "x.7z")}
