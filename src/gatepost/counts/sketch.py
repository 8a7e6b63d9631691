"""Where a key is counted: a bucket in each row of a table, by a hash that nobody can foretell.

Theory of operation
-------------------
A table is a count-min sketch (Cormode and Muthukrishnan, 2005): ROWS rows of BUCKETS counters. A
key has one bucket in each row; its count is the least of them, for each may also be another key's.
So a count may be too high, never too low, and a table takes the same memory whatever comes. A key
is counted wrongly by as much as h heavy keys have only if each of its rows has one of them there,
with a chance of (h / BUCKETS) ** ROWS: with 200 of them once in 6,700 keys.

Security: the hash is keyed with a seed that is drawn when the server starts and told nobody. Who
could foretell it might choose addresses that fall together with somebody else's and fill that one's
limits up.
"""

import hashlib
import struct

ROWS = 2
BUCKETS = 1 << 14
SIZE = ROWS * BUCKETS
SEED_SIZE = 16

Cell = tuple[int, int]

_hashes = struct.Struct("<II").unpack


def locate(key: bytes, seed: bytes) -> Cell:
    """Return a key's bucket in each row, as indexes of the table."""
    first, second = _hashes(hashlib.blake2b(key, digest_size=8, key=seed).digest())
    return first % BUCKETS, BUCKETS + second % BUCKETS
