"""The ledger in several processes: kill -9 of the writer, readers next to it, versions."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from tests.ledger.made import START, transaction

from gatepost._version import __version__
from gatepost.ledger.selection import Key, Selection
from gatepost.ledger.store import LedgerError, LedgerReader, schema

# Prints the number of a record after its commit.
WRITE = """
import sys
from pathlib import Path
from tests.ledger.made import START, encoded, transaction
from gatepost.ledger.store import LedgerWriter

writer = LedgerWriter(Path(sys.argv[1]), 1e6, 1 << 30, lambda: START, segment=700, tail=100)
for number in range(int(sys.argv[2]), 10**9):
    writer.add(encoded(transaction(number)))
    writer.commit()
    writer.maintain()
    print(number, flush=True)
"""


class Writing:
    """A process that writes; `last` is the number of the last record that it has committed."""

    def __init__(self, folder, first):
        argv = [sys.executable, "-c", WRITE, str(folder), str(first)]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env)

    def wait_for(self, number):
        while int(self.process.stdout.readline()) < number:
            pass

    def kill(self):
        """Kill it; return the number of the last record whose commit it has reported."""
        self.process.send_signal(signal.SIGKILL)
        lines = self.process.stdout.read().split("\n")
        self.process.wait()
        self.process.stdout.close()
        return max((int(line) for line in lines[:-1]), default=0)


def test_a_kill_loses_no_record_that_was_committed(folder):
    first = 1
    for kills in (150, 777, 40):
        writing = Writing(folder, first)
        writing.wait_for(first + kills)
        last = max(writing.kill(), first + kills)
        reader = LedgerReader(folder)
        found = [int(record.session[1:]) for record in reader.select(Selection())]
        assert found == list(range(found[0], 0, -1))
        assert found[0] in (last, last + 1)  # the last commit may not have been reported
        assert [one.ref for one in reader.find(Key("ref", f"s{last}.1"))] == [f"s{last}.1"]
        assert reader.totals(START, START).counts["result"] == {"accepted": found[0]}
        first = found[0] + 1


def test_readers_see_each_commit_while_another_process_writes(folder):
    writing = Writing(folder, 1)
    try:
        writing.wait_for(1)
        reader = LedgerReader(folder)
        news = reader.follow(Selection())
        seen = []
        while len(seen) < 800:
            seen += [int(record.session[1:]) for record in news()]
            found = [int(record.session[1:]) for record in reader.select(Selection(), limit=300)]
            assert found == list(range(found[0], max(found[0] - 300, 0), -1))
            assert len(reader.find(Key("domain", "example.com"), limit=50)) >= min(50, found[0])
            total = reader.totals(START, START).counts["result"]["accepted"]
            assert total >= found[0]
        assert seen == list(range(seen[0], seen[0] + len(seen)))
        assert reader.problems == []
    finally:
        writing.kill()


@pytest.fixture
def newer(make, write, folder):
    """A ledger whose last segment was written by a later version."""
    writer = make(segment=10)
    write(writer, *(transaction(number) for number in range(15)))
    writer.close()
    with closing(sqlite3.connect(folder / "00000002.sqlite")) as connection, connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute("UPDATE meta SET program = '77.0'")
    return folder


PROBLEM = (
    "00000002.sqlite: expected a segment of version 1 or less, found version 99:"
    " use Gatepost 77.0 or later, or move the file away"
)


def test_a_segment_of_a_later_version_is_refused_and_the_lock_is_released(newer, make):
    for _ in range(2):
        with pytest.raises(LedgerError) as caught:
            make()
        assert str(caught.value) == f"{newer}/{PROBLEM}"


def test_a_reader_skips_a_segment_of_a_later_version(newer):
    reader = LedgerReader(newer)
    assert len(list(reader.select(Selection()))) == 10
    assert reader.problems == [f"{newer}/{PROBLEM}"]


def test_an_earlier_version_is_upgraded_step_by_step(make, write, folder, monkeypatch):
    def rename(connection):
        connection.execute("ALTER TABLE meta RENAME COLUMN software TO program")

    def create(connection):
        schema._create(connection)
        connection.execute("ALTER TABLE meta RENAME COLUMN program TO software")

    writer = make()
    write(writer, transaction(1))
    writer.close()
    with closing(sqlite3.connect(folder / "00000001.sqlite")) as connection, connection:
        connection.execute("ALTER TABLE meta RENAME COLUMN program TO software")
    monkeypatch.setattr(schema, "UPGRADES", (create, rename))
    monkeypatch.setattr(schema, "VERSION", 2)
    write(make(), transaction(2))
    assert len(LedgerReader(folder).find(Key("domain", "example.com"))) == 2
    with closing(sqlite3.connect(folder / "00000001.sqlite")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert connection.execute("SELECT program FROM meta").fetchone() == (__version__,)


def test_a_failed_upgrade_changes_nothing(make, write, folder, monkeypatch):
    write(make(), transaction(1))

    def fail(connection):
        connection.execute("DROP TABLE chunk")
        raise sqlite3.OperationalError("interrupted")

    monkeypatch.setattr(schema, "UPGRADES", (schema._create, fail))
    with closing(sqlite3.connect(folder / "00000001.sqlite", isolation_level=None)) as connection:
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            schema.upgrade(connection)
        assert connection.execute("SELECT count(*) FROM chunk").fetchone() == (1,)
