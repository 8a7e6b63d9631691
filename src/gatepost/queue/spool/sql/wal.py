"""The write-ahead log (WAL) of a spool file after a crash: its verification and its repair.

Theory of operation
-------------------
After a crash SQLite recovers the WAL up to the first frame with a wrong checksum. It drops that
frame and all frames behind it, without an error. This module reads the WAL before SQLite does, and
reports frames that SQLite would drop (`wal_damage`). `repair_wal` writes all frames again with
correct checksums. A damaged frame is included: most of its page is intact, and the readers of a
damaged file trust no row.

A reset WAL is overwritten from its beginning, so older frames may follow. A frame belongs to this
WAL if it has one of the two salts of the header; older frames have two others. A crash may leave
one incomplete frame at the end. It is no damage if the WAL index (`-shm`) confirms that all
committed frames are in front of it.

Call these functions before any process has the file open. Limits: a repair needs the WAL in memory.

Trusts: "WAL-mode File Format", https://www.sqlite.org/walformat.html.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import BinaryIO, NamedTuple

from gatepost.disk.durable import FILE_MODE, sync_folder

PAGE = 4096
_MASK = 0xFFFFFFFF
# Magic, version, page size, checkpoint number, two salts, two checksums.
_HEADER = Struct(">IIIIIIII")
# Page, pages of the file after a commit (otherwise 0), two salts, two checksums.
_FRAME = Struct(">IIIIII")
_MAGIC, _VERSION = 0x377F0682, 3007000
_CHECKED = 24
_FRAME_CHECKED = 8
# The header of the WAL index, which is there twice, in the byte order of the machine.
_INDEX = Struct("=III BBH II II 8s II")
_NATIVE = "<" if sys.byteorder == "little" else ">"

Sum = tuple[int, int]


class _Frame(NamedTuple):
    """A frame: page number, file size after a commit, octets of the page.

    `is_valid` is whether SQLite would accept it after a valid frame.
    """

    page: int
    commit: int
    octets: bytes
    is_valid: bool


class _Header(NamedTuple):
    octets: bytes
    salts: Sum
    sum: Sum
    order: str
    is_valid: bool


def wal_of(path: Path) -> Path:
    """Return the path of the WAL of a spool file."""
    return path.with_name(path.name + "-wal")


def wal_damage(path: Path) -> str:
    """Return a description of the damage to the WAL of a spool file, or "". Raises OSError."""
    with suppress(FileNotFoundError), wal_of(path).open("rb") as file:
        header = _read_header(file)
        if header is not None:
            return _damage(header, list(_states(file, header)), _committed(path, header))
    return ""


def repair_wal(path: Path) -> None:
    """Rewrite a damaged WAL with all its frames and correct checksums; raises OSError."""
    if not wal_damage(path):
        return
    wal = wal_of(path)
    repaired = wal.with_name(wal.name + ".repaired")
    with wal.open("rb") as file, open(repaired, "wb", opener=_private) as output:
        header = _read_header(file)
        assert header is not None
        _rewrite(header, list(_plausible(_frames(file, header))), output)
        output.flush()
        os.fsync(output.fileno())
    repaired.rename(wal)
    sync_folder(path.parent)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)


# reading


def _read_header(file: BinaryIO) -> _Header | None:
    """Return the header; None if there is no complete frame."""
    octets, first = file.read(_HEADER.size), file.read(_FRAME.size + PAGE)
    if len(first) < _FRAME.size + PAGE:
        return None
    file.seek(_HEADER.size)
    magic, version, page, _, *rest = _HEADER.unpack(octets)
    order = ">" if magic == _MAGIC + 1 else "<"
    is_valid = (
        magic in {_MAGIC, _MAGIC + 1}
        and (version, page) == (_VERSION, PAGE)
        and tuple(rest[2:]) == _checksum(octets[:_CHECKED], (0, 0), order)
    )
    if not is_valid:  # the first frame has the same salts
        order = _NATIVE
        rest[:2] = _FRAME.unpack_from(first)[2:4]
    return _Header(octets, (rest[0], rest[1]), (rest[2], rest[3]), order, is_valid)


def _frames(file: BinaryIO, header: _Header) -> Iterator[_Frame | None]:
    """Yield the frames in order, None for a frame of an older WAL."""
    before = header.sum
    while len(octets := file.read(_FRAME.size + PAGE)) == _FRAME.size + PAGE:
        page, commit, *rest = _FRAME.unpack_from(octets)
        salts, stored = tuple(rest[:2]), (rest[2], rest[3])
        content = octets[_FRAME.size :]
        if salts[0] != header.salts[0] and salts[1] != header.salts[1]:
            yield None
            continue
        found = _checksum(octets[:_FRAME_CHECKED] + content, before, header.order)
        yield _Frame(page, commit, content, salts == header.salts and found == stored)
        before = stored


def _checksum(octets: bytes, before: Sum, order: str) -> Sum:
    a, b = before
    for x, y in Struct(f"{order}II").iter_unpack(octets):
        a = (a + x + b) & _MASK
        b = (b + y + a) & _MASK
    return a, b


# verification


def _states(file: BinaryIO, header: _Header) -> Iterator[tuple[bool, bool]]:
    """Yield for each frame whether it belongs to this WAL, and whether it is valid."""
    for frame in _frames(file, header):
        yield frame is not None, frame is not None and frame.is_valid


def _damage(header: _Header, states: list[tuple[bool, bool]], committed: int) -> str:
    last = max((at for at, (belongs, _) in enumerate(states) if belongs), default=-1) + 1
    valid = next((at for at, (_, is_valid) in enumerate(states) if not is_valid), len(states))
    valid = valid if header.is_valid else 0
    needed = committed if valid == last - 1 and 0 <= committed <= valid else max(last, committed)
    if valid >= needed:
        return ""
    return f"WAL damaged: {valid} of {needed} frames readable"


def _committed(path: Path, header: _Header) -> int:
    """Return the number of committed frames by the WAL index, -1 if it has no valid header."""
    with suppress(FileNotFoundError):
        octets = path.with_name(path.name + "-shm").read_bytes()[: 2 * _INDEX.size]
        first, second = octets[: _INDEX.size], octets[_INDEX.size :]
        if first == second and len(first) == _INDEX.size:
            fields = _INDEX.unpack(first)
            checksum = _checksum(first[:-8], (0, 0), _NATIVE)
            if fields[11:] == checksum and fields[10] == header.octets[16:24]:
                return int(fields[6])
    return -1


# repair


def _plausible(frames: Iterator[_Frame | None]) -> Iterator[_Frame]:
    """Yield the frames that belong to this WAL and name a page."""
    return (frame for frame in frames if frame is not None and frame.page)


def _rewrite(header: _Header, frames: list[_Frame], output: BinaryIO) -> None:
    """Write a WAL of these frames up to the last commit."""
    magic = _MAGIC + 1 if header.order == ">" else _MAGIC
    octets = _HEADER.pack(magic, _VERSION, PAGE, 0, *header.salts, 0, 0)[:_CHECKED]
    before = _checksum(octets, (0, 0), header.order)
    output.write(octets + Struct(">II").pack(*before))
    end = max((at for at, frame in enumerate(frames) if frame.commit), default=-1)
    largest = max((frame.commit for frame in frames if frame.is_valid), default=0)
    for frame in frames[: end + 1]:
        if not frame.is_valid and frame.page > largest + len(frames):
            continue
        # A damaged commit must not cut the file.
        commit = frame.commit if frame.is_valid or not frame.commit else largest or frame.commit
        start = Struct(">II").pack(frame.page, commit)
        before = _checksum(start + frame.octets, before, header.order)
        output.write(start + Struct(">IIII").pack(*header.salts, *before) + frame.octets)
