"""List the files of a RAR archive, versions 1.5 to 4 and 5, by the headers of its blocks.

Names in the short Unicode form of version 3 are decoded by the library rarfile. Nothing is
decompressed, and no other program is started. Trusts: nothing. It takes linear time.
"""

import importlib
import struct
from collections.abc import Iterator
from typing import Any

from gatepost.plugins._unpacking import BrokenError, Budget, Member

LIBRARY = "rarfile"
_OLD, _NEW = b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00"
_OLD_BLOCK = struct.Struct("<HBHH")
_OLD_FILE = struct.Struct("<LLBLLBBHL")
_OLD_MAIN, _OLD_FILE_TYPE, _OLD_SUB, _OLD_END = 0x73, 0x74, 0x7A, 0x7B
_HEADERS_ENCRYPTED, _FILE_ENCRYPTED, _LARGE, _UNICODE = 0x80, 0x04, 0x100, 0x200
_HAS_DATA = 0x8000
_DIRECTORY = 0xE0

_FILE, _ENCRYPTION, _END = 2, 4, 5
_EXTRA, _DATA = 1, 2
_FILE_IS_DIRECTORY, _HAS_TIME, _HAS_CHECKSUM = 1, 2, 4
_RECORD_ENCRYPTION = 1
MAX_HEADER = 2 * 1024 * 1024


def rar_members(content: bytes, budget: Budget) -> Iterator[Member]:
    """Yield the files of an archive; raises `BrokenError` and `BombError`."""
    reader = _new_members if content.startswith(_NEW) else _old_members
    try:
        yield from reader(content, budget)
    except (struct.error, IndexError) as error:
        raise BrokenError("a header is damaged") from error


def _old_members(content: bytes, budget: Budget) -> Iterator[Member]:
    at = len(_OLD)
    while at < len(content):
        budget.check_time()
        _, kind, flags, size = _OLD_BLOCK.unpack_from(content, at)
        if size < _OLD_BLOCK.size:
            raise BrokenError("a header is damaged")
        if kind == _OLD_MAIN and flags & _HEADERS_ENCRYPTED:
            yield Member("", is_encrypted=True)
            return
        if kind == _OLD_END:
            return
        data = 0
        if kind in (_OLD_FILE_TYPE, _OLD_SUB):
            member, data = _old_file(content[at + 7 : at + size], flags)
            if kind == _OLD_FILE_TYPE and flags & _DIRECTORY != _DIRECTORY:
                yield member
        elif flags & _HAS_DATA:
            data = int.from_bytes(content[at + 7 : at + 11], "little")
        at += size + data


def _old_file(header: bytes, flags: int) -> tuple[Member, int]:
    """Return a file, and the size of its data."""
    fields = _OLD_FILE.unpack_from(header)
    size, length, at = fields[0], fields[7], _OLD_FILE.size
    if flags & _LARGE:
        size += int.from_bytes(header[at : at + 4], "little") << 32
        at += 8
    name = header[at : at + length]
    if len(name) < length:
        raise BrokenError("a name is damaged")
    return Member(_old_name(name, flags), bool(flags & _FILE_ENCRYPTED)), size


def _old_name(name: bytes, flags: int) -> str:
    plain, zero, packed = name.partition(b"\0")
    if not (flags & _UNICODE and zero):
        return name.decode("utf-8", "replace")
    library: Any = importlib.import_module(LIBRARY)
    found: str = library.UnicodeFilename(plain, packed).decode()
    return found


def _new_members(content: bytes, budget: Budget) -> Iterator[Member]:
    at = len(_NEW)
    while at < len(content):
        budget.check_time()
        size, start = _number(content, at + 4)
        if not 0 < size <= MAX_HEADER or start + size > len(content):
            raise BrokenError("a header is damaged")
        header = content[start : start + size]
        kind, place = _number(header, 0)
        if kind == _ENCRYPTION:
            yield Member("", is_encrypted=True)
            return
        if kind == _END:
            return
        flags, place = _number(header, place)
        extra, place = _number(header, place) if flags & _EXTRA else (0, place)
        data, place = _number(header, place) if flags & _DATA else (0, place)
        if kind == _FILE:
            yield from _new_file(header, place, header[len(header) - extra :] if extra else b"")
        at = start + size + data


def _new_file(header: bytes, at: int, extra: bytes) -> Iterator[Member]:
    flags, at = _number(header, at)
    _, at = _number(header, at)  # the size
    _, at = _number(header, at)  # the attributes
    at += 4 * bool(flags & _HAS_TIME) + 4 * bool(flags & _HAS_CHECKSUM)
    _, at = _number(header, at)  # the compression
    _, at = _number(header, at)  # the system
    length, at = _number(header, at)
    name = header[at : at + length]
    if len(name) < length:
        raise BrokenError("a name is damaged")
    if not flags & _FILE_IS_DIRECTORY:
        yield Member(name.decode("utf-8", "replace"), _RECORD_ENCRYPTION in set(_records(extra)))


def _records(extra: bytes) -> Iterator[int]:
    """Yield the types of the records of a file."""
    at = 0
    while at < len(extra):
        size, start = _number(extra, at)
        yield _number(extra, start)[0]
        at = start + max(1, size)


def _number(octets: bytes, at: int) -> tuple[int, int]:
    """Return a number of 7 bits in each octet, and where it ends; raises IndexError."""
    value = 0
    for shift in range(0, 70, 7):
        octet = octets[at]
        at += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            return value, at
    raise IndexError("a number is too long")
