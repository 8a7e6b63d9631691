"""Flipped bits in the files of a killed worker alter, repeat and silently lose no message."""

import random
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.queue.spool.samples import (
    HORIZON,
    NOW,
    SIZE,
    committed,
    facts,
    never_suspended,
    new_message,
    open_store,
    recipient,
)

from gatepost.queue.recovery import Progress, put_back
from gatepost.queue.spool.corrupt import unrecovered
from gatepost.queue.spool.opening import Opener
from gatepost.queue.spool.salvage import salvage
from gatepost.queue.spool.sql.content import DamagedContentError

NAMES = ("1.db", "1.db-wal", "1.db-shm", "1.db-log")


def ref(number):
    return f"s-1.{number}"


def text(number):
    return f"Subject: {number}\r\n\r\n".encode() + b"a line of text\r\n" * (10 * (number % 40))


def message(number):
    return new_message(
        recipient(f"user{number}@example.com"), content=text(number), of=facts(ref(number))
    )


def killed(count, *, in_journal=0, checkpoint=0):
    """Return the files of a worker that was killed, by name.

    The messages above `count` are in the journal, those up to `checkpoint` not in the WAL.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(open_store(Path(folder) / "1.db")) as store,
    ):
        for number in range(1, count + 1):
            with committed(store):
                store.put(message(number))
            if number == checkpoint:
                store.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        for number in range(count + 1, count + in_journal + 1):
            with committed(store):
                store.post(message(number), NOW, at_once=True)
        return {name: (Path(folder) / name).read_bytes() for name in NAMES}


def flipped(files, flips):
    """Return the files with flipped bits, each of them named by file and position."""
    damaged = {name: bytearray(octets) for name, octets in files.items()}
    for name, at in flips:
        octets = damaged[name]
        octets[at // 8 % len(octets)] ^= 1 << at % 8
    return damaged


def restart(files):
    """Start with these files; return the contents to deliver by reference, and the log."""
    with tempfile.TemporaryDirectory() as folder, capture_logs() as logs:
        path = Path(folder) / "1.db"
        for name, octets in files.items():
            path.with_name(name).write_bytes(octets)
        opener = Opener(lambda _: None, size=SIZE, horizon=HORIZON, suspended_until=never_suspended)
        with closing(opener.open(path)) as store:
            for damaged in unrecovered(path):
                recover(store, damaged, logs)
            return deliver(store, logs), logs


def recover(store, damaged, logs):
    found = list(salvage(damaged))
    logs += [{"event": one.problem, "message": one.message} for one in found if one.problem]
    if found:
        with committed(store):
            put_back(store, damaged.name, Progress(), found)


def deliver(store, logs):
    with committed(store):
        store.absorb()
        taken = store.take(NOW, 1000, Unlimited())
    logs += [{"event": str(damage)} for damage in taken.damaged]
    delivered = []
    for job in taken.jobs:
        try:
            octets = b"".join(store.reader.pieces(job.message, job.size, job.first, job.digest))
        except DamagedContentError as error:
            logs.append({"event": str(error)})
        else:
            (to,) = job.recipients
            delivered.append((job.facts.id, str(to.facts.address), octets))
    return delivered


class Unlimited:
    def room(self, destination, now):
        return 1000

    def rank(self, destination):
        return 0, 0

    def has(self, message, destination):
        return False

    def reopen(self, destination):
        pass


def expected(count):
    return {(ref(one), f"user{one}@example.com", text(one)) for one in range(1, count + 1)}


CASES = {
    "wal": (60, 0, 0),
    "half in the file": (80, 0, 40),
    "all in the file": (50, 0, 50),
    "journal": (5, 40, 0),
    "everywhere": (150, 50, 75),
}


@cache
def original(case):
    count, journal, checkpoint = CASES[case]
    return killed(count, in_journal=journal, checkpoint=checkpoint)


@pytest.mark.parametrize("case", CASES)
def test_intact_files_are_used_without_a_report(case):
    delivered, logs = restart(original(case))
    count, journal, _ = CASES[case]
    assert sorted(delivered) == sorted(expected(count + journal))
    assert logs == []


@settings(max_examples=150, deadline=None)
@given(
    case=st.sampled_from(sorted(CASES)),
    only=st.sampled_from([*NAMES, None]),
    seed=st.integers(0, 1 << 32),
    count=st.integers(1, 20),
)
def test_flipped_bits_lose_no_message_without_a_report(case, only, seed, count):
    files, chance = original(case), random.Random(seed)
    used = {name: len(octets.rstrip(b"\0")) for name, octets in files.items() if octets}
    flips = [
        (name, chance.randrange(8 * used[name]))
        for name in ((only if only in used else chance.choice(list(used))) for _ in range(count))
    ]
    delivered, logs = restart(flipped(files, flips))
    whole = expected(sum(CASES[case][:2]))
    assert len(delivered) == len(set(delivered))
    assert set(delivered) <= whole
    assert set(delivered) == whole or logs
