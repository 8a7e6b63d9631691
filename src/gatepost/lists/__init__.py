"""Lists of addresses and domains in the qmail control format, re-read when they change.

Traps, known recipients and local domains come from here. Small lists live in memory; big ones in
an index file that all workers map (`index`), with what changed since laid over it (`indexed`).
"""
