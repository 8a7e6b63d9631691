"""The index of a segment: which records have a key.

Theory of operation
-------------------
An entry has 8 octets: HASH_OCTETS of a key's hash, then a record's number, the highest octet first.
So entries sort as numbers of 64 bits, and a hash is found in many entries by `bytes.find`.

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
from collections.abc import Iterator
from typing import Final

from gatepost.ledger.hashes import HASH_OCTETS

NUMBER_OCTETS: Final = 3
MAX_RECORDS: Final = 1 << 8 * NUMBER_OCTETS
# A block fits into a page of 4096 octets. The first entries of two blocks of a run differ by at
# least BLOCK, so they also differ without their lowest 8 bits.
BLOCK: Final = 500
_RUN_BITS: Final = 56
_LOW_BITS: Final = 8
MAX_RUNS: Final = 1 << (63 - _RUN_BITS)

_ENTRY: Final = 8
_TAIL = "SELECT entries FROM tail WHERE instr(entries, ?) ORDER BY id DESC"
_NEWEST = "SELECT max(id) FROM block"
_BLOCK = "SELECT id, entries FROM block WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1"
# The last block before each of many ends: one statement takes a third of the time of many.
_BLOCKS = (
    "SELECT block.id, entries FROM json_each(?) AS ends"
    " JOIN block ON block.id = (SELECT max(id) FROM block WHERE id <= ends.value)"
)


def entries_of(first: int, hashes: list[list[bytes]]) -> bytes:
    """Return the entries of records with successive numbers: the hashes of each."""
    parts: list[bytes] = []
    number = first
    for found in hashes:
        octets = number.to_bytes(NUMBER_OCTETS, "big")
        for one in found:
            parts.append(one)
            parts.append(octets)
        number += 1
    return b"".join(parts)


def write_run(connection: sqlite3.Connection) -> None:
    """Move the tail into a new run, within a transaction of the caller. Raises sqlite3.Error."""
    run = run_count(connection)
    if run == MAX_RUNS:
        return
    rows = connection.execute("SELECT entries FROM tail ORDER BY id").fetchall()
    entries = _sorted(b"".join(octets for (octets,) in rows))
    connection.executemany("INSERT INTO block VALUES (?, ?)", _blocks(run, entries))
    connection.execute("DELETE FROM tail")


def run_count(connection: sqlite3.Connection) -> int:
    """Return the number of runs."""
    (newest,) = connection.execute(_NEWEST).fetchone()
    return 0 if newest is None else int(newest >> _RUN_BITS) + 1


def search(connection: sqlite3.Connection, key: bytes) -> Iterator[int]:
    """Yield the numbers of the records that have a key's hash, the newest first.

    No statement stays open between two numbers. If the tail becomes a run meanwhile, its records
    are found twice, but yielded once: numbers only go down. Raises sqlite3.Error.
    """
    last = MAX_RECORDS
    for number in _search_all(connection, key):
        if number < last:
            last = number
            yield number


def _search_all(connection: sqlite3.Connection, prefix: bytes) -> Iterator[int]:
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


def _sorted(octets: bytes) -> bytes:
    """Return entries in order.

    Floats compare faster than integers of 64 bits. They are rounded, so entries of one hash can be
    equal; these keep their order, which is that of the records.
    """
    values = _swapped(array("Q", octets))
    return _swapped(array("Q", sorted(values, key=float))).tobytes()


def _swapped(values: "array[int]") -> "array[int]":
    """Return numbers of this machine from those with the highest octet first, or the reverse."""
    if sys.byteorder == "little":
        values.byteswap()
    return values


def _blocks(run: int, entries: bytes) -> Iterator[tuple[int, bytes]]:
    for at in range(0, len(entries), BLOCK * _ENTRY):
        first = int.from_bytes(entries[at : at + _ENTRY])
        yield run << _RUN_BITS | first >> _LOW_BITS, entries[at : at + BLOCK * _ENTRY]


def _numbers(octets: bytes, prefix: bytes) -> list[int]:
    """Return the numbers of the records in entries that start with the prefix."""
    found = []
    at = octets.find(prefix)
    while at >= 0:
        if at % _ENTRY == 0:
            found.append(int.from_bytes(octets[at + HASH_OCTETS : at + _ENTRY]))
        at = octets.find(prefix, at + 1)
    return found
