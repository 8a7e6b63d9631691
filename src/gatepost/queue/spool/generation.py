"""Which generation of a spool file's journal is not in its tables: the table `journal` says it.

Where it says nothing – the file is new, or stands in for one that was damaged – the journal that is
there is taken at its word.

A generation is a random number from 1 to HIGHEST.
"""

import secrets
import sqlite3
from pathlib import Path

from gatepost.queue.spool.journal import first_generation, read

# As SQLite has numbers.
HIGHEST = (1 << 63) - 1

_NOTE = "INSERT OR REPLACE INTO journal (id, generation) VALUES (1, ?)"


def current_generation(connection: sqlite3.Connection, journal: Path) -> int:
    """Return the generation that is not in the tables; raises OSError or sqlite3.Error."""
    noted = connection.execute("SELECT generation FROM journal").fetchone()
    if noted is not None and is_generation(noted[0]):
        return int(noted[0])
    first = first_generation(read(journal))
    return _note(connection, first if is_generation(first) else _random())


def next_generation(connection: sqlite3.Connection) -> int:
    """Have another generation be the one that is not in the tables; return it."""
    return _note(connection, _random())


def _note(connection: sqlite3.Connection, generation: int) -> int:
    connection.execute(_NOTE, (generation,))
    return generation


def _random() -> int:
    return secrets.randbelow(HIGHEST) + 1


def is_generation(found: object) -> bool:
    """Whether what was found can be a generation."""
    return isinstance(found, int) and 0 < found <= HIGHEST
