"""The records of a CDB file, in their order, for a list that is made of its keys.

The format: 256 pairs of a position and a length, the records, the hash tables. The first hash table
is behind the last record. A position or a length that leads out of the file is a `CdbError`.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from gatepost.migration.source import open_regular

_HEADER = 2048
_PAIR = struct.Struct("<II")
MOST_OCTETS = 256 * 1024 * 1024
# The longest key or value that is read.
_MOST_DATA = 64 * 1024


class CdbError(ValueError):
    """The file is not in the format CDB."""


def records(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a file; raises `CdbError`, OSError and ValueError."""
    with open_regular(path, text=False) as file:
        size = os.fstat(file.fileno()).st_size
        header = file.read(_HEADER)
        if len(header) < _HEADER or size > MOST_OCTETS:
            raise CdbError("expected a CDB file")
        end = min(position for position, _ in _PAIR.iter_unpack(header))
        if not _HEADER <= end <= size:
            raise CdbError("expected a CDB file")
        at = _HEADER
        while at < end:
            lengths = file.read(_PAIR.size)
            if len(lengths) < _PAIR.size:
                raise CdbError("a CDB file that is cut short")
            key, value = _PAIR.unpack(lengths)
            at += _PAIR.size + key + value
            if at > end or max(key, value) > _MOST_DATA:
                raise CdbError("a CDB file that is damaged")
            yield file.read(key), file.read(value)
