"""Records in rows of the table `chunk`: up to CHUNK consecutive records in each.

A row for each record would take three times as long to write. `records` of a row is a MessagePack
array of the encoded records. `letters` has a letter for the kind and result of each (`matching`),
`oldest` and `newest` are their first and last time, so a query skips most rows without reading the
records.

Trusts: the writer has decoded each record. Octets that are damaged later are one unreadable record.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from gatepost.ledger.matching import letter_of
from gatepost.ledger.records import Kept

# Twice as many would save a tenth of the time to write them, and a look-up reads whole rows.
CHUNK = 50
_ARRAY = b"\xdc"  # MessagePack: an array with 16 bits of length

_split = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


class Row(NamedTuple):
    """A row: the number of the first record, the facts, the records."""

    first: int
    oldest: float
    newest: float
    letters: str
    records: bytes


def rows_of(kept: Sequence[Kept], first: int) -> Iterator[Row]:
    """Yield the rows of records whose first has the number `first`."""
    for at in range(0, len(kept), CHUNK):
        yield _row(kept[at : at + CHUNK], first + at)


def _row(kept: Sequence[Kept], first: int) -> Row:
    times = [record.time for _, record in kept]
    letters = "".join([letter_of(record) for _, record in kept])
    octets = b"".join([body for body, _ in kept])
    header = _ARRAY + len(kept).to_bytes(2, "big")
    return Row(first, min(times), max(times), letters, header + octets)


def split(octets: bytes) -> list[msgspec.Raw]:
    """Return the encoded records of a row."""
    try:
        return _split(octets)
    except msgspec.MsgspecError:
        return [msgspec.Raw(octets)]
