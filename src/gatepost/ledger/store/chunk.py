"""Records in rows of the table `chunk`: up to CHUNK consecutive records in each.

A row for each record would take three times as long to write. `records` of a row is a MessagePack
array of the encoded records. `letters` has a letter for the kind and result of each (`matching`),
`oldest` and `newest` are their first and last time, so a query skips most rows without reading the
records.

Trusts: the writer has decoded each record. Octets that are damaged later are one unreadable record.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from gatepost.ledger.kept import Kept

# Twice as many would save a tenth of the time to write them, and a look-up reads whole rows.
CHUNK: Final = 50
_ARRAY: Final = b"\xdc"  # MessagePack: an array with 16 bits of length

_split = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


class Row(NamedTuple):
    """A row: the number of the first record, the facts, the records."""

    first: int
    oldest: float
    newest: float
    letters: str
    records: bytes


def rows_of(kept: Kept, first: int) -> Iterator[Row]:
    """Yield the rows of records whose first has the number `first`."""
    times = [one.time for one in kept.extracts]
    letters = "".join([one.letter for one in kept.shapes])
    for at in range(0, len(times), CHUNK):
        end = at + CHUNK
        yield _row(first + at, times[at:end], letters[at:end], kept.bodies[at:end])


def _row(first: int, times: list[float], letters: str, bodies: list[bytes]) -> Row:
    octets = b"".join([_ARRAY, len(bodies).to_bytes(2, "big"), *bodies])
    return Row(first, min(times), max(times), letters, octets)


def split(octets: bytes) -> list[msgspec.Raw]:
    """Return the encoded records of a row."""
    try:
        return _split(octets)
    except msgspec.MsgspecError:
        return [msgspec.Raw(octets)]
