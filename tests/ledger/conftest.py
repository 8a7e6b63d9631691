"""A ledger for tests: a clock, a folder, writers that are closed at the end."""

import pytest
from tests.ledger.made import START, encoded

from gatepost.ledger.store import LedgerWriter

DAY = 86400.0


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "var" / "ledger"


@pytest.fixture
def make(folder, clock):
    """A function that opens the ledger for writing."""
    made = []

    def make(folder=folder, **options):
        values = {"keep": DAY, "size": 1 << 30, "segment": 100, "tail": 30} | options
        made.append(LedgerWriter(folder, values.pop("keep"), values.pop("size"), clock, **values))
        return made[-1]

    yield make
    for writer in made:
        writer.close()


@pytest.fixture
def write():
    """A function that writes records, each in a commit of its own."""

    def write(writer, *records):
        for record in records:
            writer.add(encoded(record))
            writer.commit()
            writer.maintain()

    return write
