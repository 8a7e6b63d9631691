"""List the files in archives: ZIP, tar, gzip, bzip2, xz, 7z and RAR.

A ZIP file has each name twice, and its directory can be in more than one place. Programs differ in
what they read, so all names are listed. 7z and RAR archives are listed only. RAR is read here,
because the library rarfile starts a program for comments in archives, and puts them in a file.

Trusts: nothing. Limits: those of `Budget`; the header of a 7z archive has at most MAX_HEADER octets
and no unusual compression.
"""

import importlib
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from gatepost.plugins._rar import rar_members
from gatepost.plugins._tar import is_tar, tar_members
from gatepost.plugins._unpacking import (
    DECOMPRESSORS,
    LARGEST_MEMBER,
    PIECE,
    BombError,
    BrokenError,
    Budget,
    Member,
    Source,
    Unpacked,
    read_all,
)

LIBRARY = "py7zr"
# The first octets of a file in an archive, by which its type is found.
HEAD = 4096
MAX_HEADER = 512 * 1024
EXTENSIONS = {
    "zip": "zip", "tar": "tar", "gz": "gz", "tgz": "gz", "bz2": "bz2", "tbz": "bz2", "tbz2": "bz2",
    "xz": "xz", "txz": "xz", "7z": "7z", "rar": "rar",
}  # fmt: skip
LISTED_ONLY = frozenset({"7z", "rar"})

_MAGIC = (
    (b"PK\x03\x04", "zip"), (b"PK\x05\x06", "zip"), (b"PK\x07\x08", "zip"), (b"\x1f\x8b", "gz"),
    (b"BZh", "bz2"), (b"\xfd7zXZ\x00", "xz"), (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
)  # fmt: skip
_ZIP_END, _ZIP_TAIL = b"PK\x05\x06", 66_000
_LOCAL = struct.Struct("<4xHHH16xHH")  # version, flags, method, lengths of the name and the rest
_CENTRAL = struct.Struct("<4x2xHHH16xHH")
_NEWEST_ZIP, _METHODS = 100, {*range(20), *range(93, 100)}
_ENCRYPTED, _UTF8 = 1, 0x800
_SIGNATURE = re.compile(rb"PK(?:\x03\x04|\x01\x02)")
_PIECE = 1024 * 1024
# Copying, LZMA, LZMA2 and AES: what the header of a 7z archive is packed with.
_7Z_LZMA, _7Z_LZMA2 = b"\x03\x01\x01", b"\x21"
_7Z_METHODS = {b"\x00", _7Z_LZMA, _7Z_LZMA2, b"\x06\xf1\x07\x01"}
_7Z_ENCODED, _7Z_DICTIONARY = 0x17, 64 * 1024 * 1024
_ZIP_ERRORS = (
    *(zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError),
    *(KeyError, IndexError, struct.error, zlib.error, OverflowError, MemoryError),
)


def kind_of(content: bytes) -> str:
    """Return the kind of an archive by its content, "" if it is none."""
    for octets, kind in _MAGIC:
        if content.startswith(octets):
            return kind
    if is_tar(content[:512]):
        return "tar"
    return "zip" if _ZIP_END in content[-_ZIP_TAIL:] else ""


def members(content: bytes, kind: str, name: str, budget: Budget) -> Iterator[Member]:
    """Yield the files in an archive; `name` is that of the archive.

    Raises `BrokenError` and `BombError`.
    """
    for member in _LISTERS[kind](content, name, budget):
        budget.entry()
        yield member


def _zip_members(content: bytes, _name: str, budget: Budget) -> Iterator[Member]:
    most = 2 * budget.entries  # each file has two headers
    names = list(islice(_zip_names(content), most + 1))
    others = dict.fromkeys(names)
    problem: Exception | None = BombError("entries") if len(names) > most else None
    try:
        for member in _zip_files(content, budget) if problem is None else ():
            others.pop(Member(member.name, member.is_encrypted), None)
            yield member
    except BrokenError as error:
        problem = error
    yield from others
    if problem is not None:
        raise problem


def _zip_files(content: bytes, budget: Budget) -> Iterator[Member]:
    """Yield the files as the library reads them."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        infos = archive.infolist()
    except _ZIP_ERRORS as error:
        raise BrokenError(str(error)) from error
    budget.check_ratio(sum(one.file_size for one in infos), len(content))
    for info in infos:
        if not info.is_dir():
            yield _zip_member(archive, info, budget)


def _zip_names(content: bytes) -> Iterator[Member]:
    """Yield the names in all headers, wherever they are: in front of files, in the directories."""
    for at in _zip_headers(content):
        is_local = content.startswith(b"PK\x03\x04", at)
        header, size = (_LOCAL, 30) if is_local else (_CENTRAL, 46)
        if len(content) < at + size:
            continue
        version, flags, method, length, _ = header.unpack_from(content, at)
        name = content[at + size : at + size + length]
        is_valid = version % 256 <= _NEWEST_ZIP and method in _METHODS and len(name) == length
        if is_valid and not name.endswith(b"/"):
            text = name.decode("utf-8" if flags & _UTF8 else "cp437", "replace")
            yield Member(text, bool(flags & _ENCRYPTED))


def _zip_headers(content: bytes) -> Iterator[int]:
    """Yield the places of headers; the search is in pieces, so that other threads can run."""
    for start in range(0, len(content), _PIECE):
        for match in _SIGNATURE.finditer(content, start, start + _PIECE + 3):
            if match.start() < start + _PIECE:
                yield match.start()


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> Member:
    encrypted = bool(info.flag_bits & _ENCRYPTED)

    def read(size: int) -> bytes:
        try:
            with archive.open(info) as file:
                return file.read(size)
        except _ZIP_ERRORS as error:
            raise BrokenError(str(error)) from error

    def head() -> bytes:
        found = read(HEAD)
        budget.unpack(len(found))
        return found

    def whole() -> bytes:
        found = read(LARGEST_MEMBER + 1)
        if len(found) > LARGEST_MEMBER:
            raise BombError("size")
        budget.unpack(len(found))
        return found

    if encrypted:
        return Member(info.filename, is_encrypted=True)
    return Member(info.filename, head=head, read=whole)


def _packed_members(kind: str) -> Callable[[bytes, str, Budget], Iterator[Member]]:
    """Return the lister of a compressed file: of its files, if it is a tar file, or of itself."""

    def lister(content: bytes, name: str, budget: Budget) -> Iterator[Member]:
        start = Unpacked(content, kind, budget).read(HEAD)
        source = Unpacked(content, kind, budget)
        if is_tar(start):
            yield from tar_members(source, budget)
        else:
            inner = name.rpartition(".")[0] or name
            yield Member(inner, head=lambda: start, read=lambda: read_all(source))
            while source.read(PIECE):  # a bomb is found by its size
                pass

    return lister


def _plain_tar_members(content: bytes, _name: str, budget: Budget) -> Iterator[Member]:
    source: Source = io.BytesIO(content)
    return tar_members(source, budget)


def _7z_members(content: bytes, _name: str, budget: Budget) -> Iterator[Member]:
    library: Any = importlib.import_module(LIBRARY)
    try:
        _check_7z(content)
        with library.SevenZipFile(io.BytesIO(content)) as archive:
            encrypted = archive.needs_password()
            names = [one.filename for one in archive.list() if not one.is_directory]
    except library.PasswordRequired:
        yield Member("", is_encrypted=True)
        return
    except (BombError, BrokenError):
        raise
    except Exception as error:  # the library raises errors of many types for damaged files
        raise BrokenError(str(error)) from error
    budget.check_time()
    yield from (Member(name, encrypted) for name in names)


def _check_7z(content: bytes) -> None:
    """Raise an error if the header would need much memory."""
    offset, size = struct.unpack_from("<QQ", content, 12)
    if size > MAX_HEADER:
        raise BombError("entries")
    header = content[32 + offset : 32 + offset + size]
    if header[:1] != bytes([_7Z_ENCODED]):
        return
    info: Any = importlib.import_module(f"{LIBRARY}.archiveinfo")
    folders = info.HeaderStreamsInfo.retrieve(io.BytesIO(header[1:])).unpackinfo.folders
    if sum(sum(folder.unpacksizes) for folder in folders) > MAX_HEADER:
        raise BombError("entries")
    for coder in (one for folder in folders for one in folder.coders):
        if coder["method"] not in _7Z_METHODS:
            raise BrokenError("the compression of the header is unusual")
        if _dictionary(coder["method"], coder["properties"] or b"\0") > _7Z_DICTIONARY:
            raise BombError("memory")


def _dictionary(method: bytes, settings: bytes) -> int:
    """Return the size of the dictionary that a method of 7z has, 0 without one."""
    if method == _7Z_LZMA:
        return int.from_bytes(settings[1:5], "little")
    bits = settings[0]
    return (2 | bits & 1) << bits // 2 + 11 if method == _7Z_LZMA2 else 0


_LISTERS: dict[str, Callable[[bytes, str, Budget], Iterator[Member]]] = {
    "zip": _zip_members,
    "tar": _plain_tar_members,
    "7z": _7z_members,
    "rar": lambda content, _name, budget: rar_members(content, budget),
    **{kind: _packed_members(kind) for kind in DECOMPRESSORS},
}
