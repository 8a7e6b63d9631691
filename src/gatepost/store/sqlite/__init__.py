"""The store of one machine: a SQLite file that all workers share.

`backend` executes operations on the event loop, or in the one thread of `writer` if it would have
to wait. `entries` has the statements, `database` opens a file, `files` names the files and sets a
damaged one aside.
"""
