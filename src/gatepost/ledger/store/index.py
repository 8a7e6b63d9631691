"""The index of a segment: which records have a key.

Theory of operation
-------------------
An entry is one number of 64 bits: the 40 bits of a key's hash, then the 24 bits of a record's
number. Entries are stored as octets, the highest first, so that the first HASH_OCTETS of an entry
are the hash, and a hash is found in many entries by `bytes.find`.

The entries of new records are one row of the table `tail` for each commit. When the tail has enough
records, its entries are sorted and become a *run* in the table `block`: rows of BLOCK entries each,
whose number is that of the run and the first entry. A look-up searches the tail, and then descends
once into the table for each run, the newest first.

A row per key (`key(hash, id)`) would touch nearly every page of the table at each transfer. It was
measured: 21 microseconds per record with 8 keys in a segment of 500,000 records, and 19 octets per
key; runs take 2.5 microseconds and 8 octets.

Limits: MAX_RECORDS in a segment, MAX_RUNS runs; then the tail stays as it is.
"""

import json
import sqlite3
import sys
from array import array
from collections.abc import Iterable, Iterator

from gatepost.ledger.keys import HASH_OCTETS

ID_BITS = 24
MAX_RECORDS = 1 << ID_BITS
# A block fits into a page of 4096 octets. The first entries of two blocks of a run differ by at
# least BLOCK, so they also differ without their lowest 8 bits.
BLOCK = 500
_RUN_BITS = 56
_LOW_BITS = 8
MAX_RUNS = 1 << (63 - _RUN_BITS)

_ENTRY = 8
_TAIL = "SELECT entries FROM tail WHERE instr(entries, ?) ORDER BY id DESC"
_NEWEST = "SELECT max(id) FROM block"
_BLOCK = "SELECT id, entries FROM block WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1"
# The last block before each of many ends: one statement takes a third of the time of many.
_BLOCKS = (
    "SELECT block.id, entries FROM json_each(?) AS ends"
    " JOIN block ON block.id = (SELECT max(id) FROM block WHERE id <= ends.value)"
)


def entries_of(record: int, hashes: Iterable[int]) -> list[int]:
    """Return the entries of a record."""
    return [one << ID_BITS | record for one in hashes]


def pack(entries: Iterable[int]) -> bytes:
    """Return entries as octets."""
    values = array("Q", entries)
    if sys.byteorder == "little":
        values.byteswap()
    return values.tobytes()


def unpack(octets: bytes) -> "array[int]":
    """Return the entries in octets; raises ValueError if their length is wrong."""
    values = array("Q")
    values.frombytes(octets)
    if sys.byteorder == "little":
        values.byteswap()
    return values


def write_run(connection: sqlite3.Connection) -> None:
    """Move the tail into a new run, within a transaction of the caller. Raises sqlite3.Error."""
    run = run_count(connection)
    if run == MAX_RUNS:
        return
    rows = connection.execute("SELECT entries FROM tail").fetchall()
    entries = sorted(unpack(b"".join(octets for (octets,) in rows)))
    connection.executemany("INSERT INTO block VALUES (?, ?)", _blocks(run, entries))
    connection.execute("DELETE FROM tail")


def run_count(connection: sqlite3.Connection) -> int:
    """Return the number of runs."""
    (newest,) = connection.execute(_NEWEST).fetchone()
    return 0 if newest is None else int(newest >> _RUN_BITS) + 1


def search(connection: sqlite3.Connection, key: int) -> Iterator[int]:
    """Yield the numbers of the records that have a key's hash, the newest first.

    No statement stays open between two numbers. If the tail becomes a run meanwhile, its records
    are found twice, but yielded once: numbers only go down. Raises sqlite3.Error.
    """
    last = MAX_RECORDS
    for number in _search_all(connection, key):
        if number < last:
            last = number
            yield number


def _search_all(connection: sqlite3.Connection, key: int) -> Iterator[int]:
    prefix = key.to_bytes(HASH_OCTETS, "big")
    for (octets,) in connection.execute(_TAIL, (prefix,)).fetchall():
        yield from reversed(_numbers(octets, prefix))
    runs = range(run_count(connection))
    end = int.from_bytes(prefix + b"\xff\xff\xff") >> _LOW_BITS
    ends = json.dumps([run << _RUN_BITS | end for run in runs])
    blocks = {row[0] >> _RUN_BITS: row for row in connection.execute(_BLOCKS, (ends,)).fetchall()}
    for run in reversed(runs):
        yield from _search_run(connection, blocks.get(run), prefix)


def _search_run(
    connection: sqlite3.Connection, row: tuple[int, bytes] | None, prefix: bytes
) -> Iterator[int]:
    """Search a block of a run and, while they can have the hash, the blocks before it."""
    while row is not None:
        block, octets = row
        yield from reversed(_numbers(octets, prefix))
        if octets[:HASH_OCTETS] < prefix:
            return
        start = block >> _RUN_BITS << _RUN_BITS
        row = connection.execute(_BLOCK, (start, block - 1)).fetchone()


def _blocks(run: int, entries: list[int]) -> Iterator[tuple[int, bytes]]:
    for at in range(0, len(entries), BLOCK):
        yield run << _RUN_BITS | entries[at] >> _LOW_BITS, pack(entries[at : at + BLOCK])


def _numbers(octets: bytes, prefix: bytes) -> list[int]:
    """Return the numbers of the records in entries that start with the prefix."""
    found = []
    at = octets.find(prefix)
    while at >= 0:
        if at % _ENTRY == 0:
            found.append(int.from_bytes(octets[at + HASH_OCTETS : at + _ENTRY]))
        at = octets.find(prefix, at + 1)
    return found
