"""Lists of addresses and domains in the qmail control format, read again when they change.

They hold traps, known recipients and local domains. A small list is kept in memory. A big one has
an index file that all workers map (`index`); later changes to the list overlay it (`indexed`).
"""
