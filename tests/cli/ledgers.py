"""A ledger for the tests of `explain`, `log` and `report`."""

from contextlib import contextmanager
from pathlib import Path

from tests.ledger.mail_records import MORNING, RECORDS

from gatepost.ledger.records import encode
from gatepost.ledger.store import LedgerWriter

# Five minutes after the first record.
NOW = MORNING + 300
ZONE = "CET-1"
FOLDER = Path("var/ledger")
# The ledger keeps records of this test whenever it runs.
KEEP = 3650 * 86400.0


@contextmanager
def writing(folder=FOLDER):
    writer = LedgerWriter(folder, KEEP, 1 << 30, lambda: NOW)
    try:
        yield writer
    finally:
        writer.close()


def write(*records, folder=FOLDER):
    folder.parent.mkdir(exist_ok=True)
    with writing(folder) as writer:
        writer.add([encode(record) for record in records])
        writer.commit()


def write_morning(folder=FOLDER):
    write(*sorted(RECORDS, key=lambda record: record.time), folder=folder)
