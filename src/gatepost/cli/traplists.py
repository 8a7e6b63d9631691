"""The trap lists as an administrator's command reads and changes them, whatever their size.

Looking something up streams through the files: millions of lines take seconds and no memory, and
the server's index files are left alone. Writing is durable. An entry is appended in one write; to
take one out the file is written anew and renamed, with its owner, mode and attributes. Both hold a
lock on the file, so that two commands at a time do not lose each other's work.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from gatepost.config.schema import Config
from gatepost.lists.addresses import AddressList, Source
from gatepost.lists.entry import Entry, Kind, LineError, attempt, parse_line, parse_octets
from gatepost.lists.lines import lines_of
from gatepost.lists.source import open_regular
from gatepost.model.address import Address, domain_key, local_key, without_tag
from gatepost.model.session import TrapHit
from gatepost.traps.table import TrapTable


class EntryError(ValueError):
    """The text is no entry of a trap list; the message says what was expected."""


class Found(msgspec.Struct, frozen=True):
    """What the lists say to an address: the trap it is, or the entry that spares it, or neither."""

    address: str
    trap: TrapHit | None
    spared: Entry | None


def parse_entry(text: str, note: str = "") -> Entry:
    """Read an entry as it is typed, with its note; raises `EntryError`."""
    alone = _parsed(text, text)
    entry = _parsed(f"{text.strip()} {note.strip()}".strip(), note)
    if alone is None or alone.note or alone.text != text.strip():
        raise EntryError(f"expected one address, @domain or /pattern/, found {text!r}")
    if entry is None or (entry.key, entry.note) != (alone.key, note.strip()):
        raise EntryError(f"expected a note on one line, found {note!r}")
    return entry


def _parsed(line: str, typed: str) -> Entry | None:
    try:
        return parse_line(line, "", 0)
    except LineError as error:
        raise EntryError(f"expected {error.expected}, found {typed!r}") from error


def look_up(config: Config, addresses: Collection[Address]) -> list[Found]:
    """Return what the lists say to each address; raises `ListError`."""
    separator = config.recipients.subaddress
    users = [without_tag(local_key(one.local), separator) for one in addresses]
    keys: set[str] = set()
    for address, user in zip(addresses, users, strict=True):
        domain = domain_key(address.domain)
        keys |= {address.key, f"{user}@{domain}", f"@{domain}"}
    lists = [matching(config.path(name), keys) for name in config.traps.lists]
    table = TrapTable(lists, known(config, keys))
    return [_found(table, lists, *pair) for pair in zip(addresses, users, strict=True)]


def _found(table: TrapTable, lists: list[AddressList], address: Address, user: str) -> Found:
    key, user_key = address.key, f"{user}@{domain_key(address.domain)}"
    named = (one.find(key, user_key) for one in lists)
    spared = next((entry for entry in named if entry is not None), None)
    hit = table.match(address, user)
    return Found(str(address), hit, None if hit is not None else spared)


def matching(path: Path, keys: Collection[str]) -> AddressList:
    """Return a list of only those entries whose key is among these, and of the patterns."""
    with open_regular(path) as (file, _):
        return AddressList(
            entry
            for entry in entries(file, str(path))
            if entry.key in keys or entry.kind is Kind.PATTERN
        )


def known(config: Config, keys: Collection[str]) -> list[Source]:
    """Return what of the known recipients is among the keys; raises `ListError`."""
    inline, paths = config.sources(config.recipients.known)
    sources: list[Source] = [AddressList.from_lines(inline, "recipients.known")]
    return sources + [matching(path, keys) for path in paths]


def entries(file: BinaryIO, source: str) -> Iterator[Entry]:
    """Yield the entries of a file from where it stands; lines that are none are passed over."""
    for number, raw in enumerate(lines_of(file), start=1):
        item = attempt(parse_octets, raw, source, number)
        if isinstance(item, Entry):
            yield item


def append(path: Path, entry: Entry) -> None:
    """Append an entry to a list, which is made if it does not exist; raises OSError."""
    line = f"{entry.text} {entry.note}".rstrip().encode() + b"\n"
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    with _locked(path, flags) as file:
        os.write(file.fileno(), line if _ends_a_line(file) else b"\n" + line)
        os.fsync(file.fileno())
    _sync_folder(path)


def _ends_a_line(file: BinaryIO) -> bool:
    size = os.fstat(file.fileno()).st_size
    return size == 0 or os.pread(file.fileno(), 1, size - 1) == b"\n"


def remove(path: Path, key: str) -> list[Entry]:
    """Take every entry with this key out of a list and return them; raises OSError."""
    real = path.resolve()
    with _locked(real, os.O_RDWR | os.O_CLOEXEC) as file:
        found = [entry for entry in entries(file, str(path)) if entry.key == key]
        if found:
            file.seek(0)
            _rewrite(real, file, {entry.line for entry in found})
    return found


def _rewrite(path: Path, file: BinaryIO, without: Collection[int]) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as out:
            _keep_owner(file, out)
            shutil.copystat(path, name)
            out.writelines(raw for number, raw in _numbered(file) if number not in without)
            out.flush()
            os.fsync(out.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    _sync_folder(path)


def _numbered(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield whole lines, however long, numbered as `entries` does."""
    return enumerate(file, start=1)


def _keep_owner(file: BinaryIO, out: BinaryIO) -> None:
    wanted, found = os.fstat(file.fileno()), os.fstat(out.fileno())
    if (wanted.st_uid, wanted.st_gid) != (found.st_uid, found.st_gid):
        os.fchown(out.fileno(), wanted.st_uid, wanted.st_gid)


@contextmanager
def _locked(path: Path, flags: int) -> Iterator[BinaryIO]:
    """Open a file and lock it; if it was replaced while we waited, the one that took its place."""
    while True:
        descriptor = os.open(path, flags, 0o644)
        with os.fdopen(descriptor, "r+b", buffering=1 << 16) as file:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_still(path, file):
                yield file
                return


def _is_still(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
