"""The size of entries, and the quota of a namespace in the local stores.

If a namespace is full, a new entry replaces others: expired entries first, then those that expire
next. Entries without a ttl come last. An entry is never refused, because a client that fills a
namespace could otherwise switch off a plugin until the entries expire.
"""

from gatepost.store.operations import Entry

# Octets of an entry in addition to its key and text: the row, its index, its number.
OVERHEAD = 100
# Octets of one namespace: 150,000 counters with keys of 100 octets.
QUOTA = 32 * 1024 * 1024
# Octets of one namespace in the memory of a worker, while the shared store is unavailable.
LOCAL_QUOTA = 4 * 1024 * 1024


def size_of(key: str, entry: Entry | None) -> int:
    """Return the octets of an entry, 0 for none."""
    if entry is None:
        return 0
    text = entry.stored if isinstance(entry.stored, str) else ""
    return OVERHEAD + len(key.encode()) + len(text.encode())
