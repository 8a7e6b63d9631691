"""The cells of a key: one bucket in each row of a table, chosen by an unpredictable hash.

Theory of operation ------------------- A table is a count-min sketch (Cormode and Muthukrishnan,
2005): ROWS rows of BUCKETS counters. A key has one bucket in each row. Its count is the minimum of
these buckets, because each of them may also count other keys. A count may be too high but never too
low, and a table has a fixed size. A key gets the count of one of h heavy keys only if each of its
buckets is shared with a heavy key. The probability is (h / BUCKETS) ** ROWS: with 200 heavy keys,
one in 6,700 keys.

Security: the hash is keyed with a secret seed, chosen when the server starts. An attacker that
could predict the hash could choose addresses that collide with a victim's and exhaust the victim's
limits.
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
    """Return the bucket of a key in each row, as indexes of the table."""
    first, second = _hashes(hashlib.blake2b(key, digest_size=8, key=seed).digest())
    return first % BUCKETS, BUCKETS + second % BUCKETS
