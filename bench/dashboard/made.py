"""Makes a ledger of N records: `python -m bench.dashboard.made FOLDER --records 100000000`.

The writer of the ledger writes one segment. The older ones are copies of it with other times, which
takes a tenth of the time: each is HOURS before the next. The newest segment is written too, with
references of its own, and its last records are not in the totals yet, as in a running server.

Limits: segments have the same addresses and, except for the newest, the same references. A million
records take about 500 MB on disk; the disk must keep SPARE octets free.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sqlite3
import struct
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.dashboard.mail import Mail
from gatepost.ledger.records import encode
from gatepost.ledger.store import LedgerWriter
from gatepost.ledger.store.writer import SEGMENT, TAIL
from gatepost.ledger.totals import HOUR, hour_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HOURS = 7
LENGTH = HOURS * HOUR
BATCH = 2000
SPARE = 15 << 30
KEEP = 3650 * 86400.0
_TIME = re.compile(rb"(?s)\xa4time\xcb(.{8})")
_ADD_SECONDS = "{0} = old.{0} + ?1"
_MOVED = ", ".join(map(_ADD_SECONDS.format, ("oldest", "newest", "began", "written")))
_COPIES = (
    f"""UPDATE made.meta SET program = old.program, counted = old.counted, {_MOVED}
        FROM main.meta AS old""",
    "INSERT INTO made.block SELECT * FROM main.block",
    """INSERT INTO made.chunk
       SELECT id, oldest + ?1, newest + ?1, letters, moved(records, ?1) FROM main.chunk""",
    """INSERT INTO made.total
       SELECT hour + ?1, dimension, moved_keys(counts, dimension, ?1), keys, rest
       FROM main.total""",
)


def make(folder: Path, records: int, end: float) -> None:
    """Write a ledger of about `records` records that ends at a time."""
    length = min(SEGMENT, records)
    copies = max(0, records // length - 2)
    start = hour_of(end) - LENGTH
    first = folder / f"{copies + 1:08d}.sqlite"
    with _written(folder) as new:
        _write(new, Mail(1, "a"), length, (start, start + LENGTH))
        shutil.move(new / "00000001.sqlite", first)
    for number in range(copies, 0, -1):
        _check_space(folder)
        _copy(first, folder / f"{number:08d}.sqlite", (number - copies - 1) * LENGTH)
        print(f"segment {number}", flush=True)
    with _written(folder) as new:
        _write(new, Mail(2, "n"), max(length - TAIL, 1), (hour_of(end), end), uncounted=TAIL // 2)
        shutil.move(new / "00000001.sqlite", folder / f"{copies + 2:08d}.sqlite")


def _check_space(folder: Path) -> None:
    if shutil.disk_usage(folder).free < SPARE:
        sys.exit(f"made: {folder}: expected {SPARE >> 30} GiB of free space after each segment")


@contextmanager
def _written(folder: Path) -> Iterator[Path]:
    """Provide a folder for a ledger of one segment."""
    with tempfile.TemporaryDirectory(dir=folder) as new:
        yield Path(new)


def _write(
    folder: Path, mail: Mail, records: int, period: tuple[float, float], uncounted: int = 0
) -> None:
    """Write a segment of a period; with `uncounted` more records that the totals do not have."""
    now = [period[0]]
    limit = SEGMENT * 2 if uncounted else records
    writer = LedgerWriter(folder, KEEP, 1 << 50, lambda: now[0], segment=limit)
    for batch in _batches(mail, records, *period):
        now[0] = batch[-1][0]
        writer.add([encoded for _, encoded in batch])
        writer.commit()
        writer.tend()
    for batch in _batches(mail, uncounted, period[1] - 60, period[1]):
        writer.add([encoded for _, encoded in batch])
        writer.commit()
    writer.close()


def _batches(
    mail: Mail, records: int, start: float, end: float
) -> Iterator[Sequence[tuple[float, bytes]]]:
    batch: list[tuple[float, bytes]] = []
    made = 0
    while made < records:
        at = start + (end - start) * made / records
        found = [(at, encode(one)) for one in mail.session(at)]
        made += len(found)
        batch += found
        if len(batch) >= BATCH or made >= records:
            yield batch
            batch = []


def _copy(old: Path, new: Path, seconds: int) -> None:
    """Copy a segment with times that are `seconds` later."""
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("ATTACH ? AS made", (str(new),))
        connection.execute("PRAGMA made.journal_mode = OFF")
        connection.execute("PRAGMA made.synchronous = OFF")
        connection.create_function("moved", 2, _moved, deterministic=True)
        connection.create_function("moved_keys", 3, _moved_keys, deterministic=True)
        for (sql,) in connection.execute(
            "SELECT sql FROM main.sqlite_master WHERE sql IS NOT NULL"
        ):
            connection.execute(sql.replace("CREATE TABLE ", "CREATE TABLE made.", 1))
        connection.execute("INSERT INTO made.meta (id, program) VALUES (1, '')")
        for statement in _COPIES:
            connection.execute(statement, (seconds,) if "?1" in statement else ())
        (version,) = connection.execute("PRAGMA main.user_version").fetchone()
        connection.execute(f"PRAGMA made.user_version = {version}")
        connection.commit()


def _moved(records: bytes, seconds: int) -> bytes:
    """Return encoded records with other times."""

    def later(match: re.Match[bytes]) -> bytes:
        (at,) = struct.unpack(">d", match[1])
        return b"\xa4time\xcb" + struct.pack(">d", at + seconds)

    return _TIME.sub(later, records)


def _moved_keys(counts: str, dimension: str, seconds: int) -> str:
    """Return the counts of an hour; the keys of one dimension begin with the hour."""
    if dimension != "hour":
        return counts
    moved = {}
    for key, count in json.loads(counts).items():
        hour, _, result = key.partition(" ")
        moved[f"{int(hour) + seconds} {result}"] = count
    return json.dumps(moved)


def main() -> None:
    """Read the command line and make the ledger."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--records", type=int, default=1_000_000)
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    began = time.monotonic()
    make(options.folder, options.records, time.time())
    size = sum(path.stat().st_size for path in options.folder.iterdir())
    print(f"{size / 1e9:.1f} GB in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
