"""A process that uses the store: `python child.py FOLDER lock|count`.

lock: hold the write lock. count: add to the counter `n`, and print each result.
"""

import asyncio
import sqlite3
import sys
from pathlib import Path

from gatepost.store.sqlite import files
from gatepost.store.sqlite.backend import SqliteBackend
from gatepost.store.store import Store


def lock(folder):
    connection = sqlite3.connect(files.current(folder), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    sys.stdout.write("locked\n")
    sys.stdout.flush()
    sys.stdin.read()


def count(folder):
    async def run():
        store = Store(SqliteBackend(folder, timeout=60), "contract")
        while True:
            sys.stdout.write(f"{await store.incr('n')}\n")
            sys.stdout.flush()

    asyncio.run(run())


if __name__ == "__main__":
    {"lock": lock, "count": count}[sys.argv[2]](Path(sys.argv[1]))
