"""Damage to a WAL is detected before SQLite drops frames, and its frames are kept."""

import sqlite3
from contextlib import closing
from struct import pack, unpack_from

import pytest
from tests.queue.spool.samples import (
    facts,
    new_message,
    open_store,
    put,
    store_at,
)

from gatepost.queue.spool import admin
from gatepost.queue.spool.admin import Selection
from gatepost.queue.spool.folder import claim, is_owned
from gatepost.queue.spool.sql.schema import DamagedFileError
from gatepost.queue.spool.sql.wal import PAGE, repair_wal, wal_damage, wal_of

HEADER, FRAME = 32, 24 + PAGE


@pytest.fixture
def path(tmp_path):
    """A spool file whose worker was killed after ten commits."""
    made = tmp_path / "1.db"
    with closing(open_store(tmp_path / "0.db")) as store:
        for number in range(10):
            put(store, new_message(of=facts(f"s-1.{number}")))
        for ending in ("", "-wal", "-shm"):
            made.with_name("1.db" + ending).write_bytes((tmp_path / f"0.db{ending}").read_bytes())
    for old in tmp_path.glob("0.db*"):
        old.unlink()
    return made


def change(path, at, octets):
    with path.open("r+b") as file:
        file.seek(at, 2 if at < 0 else 0)
        file.write(octets)


def flip(path, at, bit=1):
    octets = path.read_bytes()
    change(path, at % len(octets), bytes([octets[at] ^ bit]))


def frames(path):
    return (wal_of(path).stat().st_size - HEADER) // FRAME


def recovered(path):
    """Return the number of messages that SQLite finds."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM message").fetchone()[0]


def without_index(path):
    path.with_name("1.db-shm").unlink()


def test_an_intact_wal_is_no_damage(path):
    assert wal_damage(path) == ""
    without_index(path)
    assert wal_damage(path) == ""


@pytest.mark.parametrize("octets", [b"", b"x" * 20, bytes(HEADER), bytes(HEADER + FRAME - 1)])
def test_a_wal_without_a_complete_frame_is_no_damage(path, octets):
    without_index(path)
    wal_of(path).write_bytes(octets)
    assert wal_damage(path) == ""
    wal_of(path).unlink()
    assert wal_damage(path) == ""


@pytest.mark.parametrize("with_index", [True, False])
@pytest.mark.parametrize("octet", [*range(24), 24, 2000, FRAME - 1])
@pytest.mark.parametrize("frame", [0, 5, -1])
def test_a_flipped_bit_in_any_field_of_a_frame_is_damage(path, frame, octet, with_index):
    if not with_index:
        without_index(path)
    at = frame % frames(path)
    flip(wal_of(path), HEADER + at * FRAME + octet)
    assert wal_damage(path) == f"WAL damaged: {at} of {frames(path)} frames readable"


@pytest.mark.parametrize("octet", [*range(12), *range(16, HEADER)])
def test_a_flipped_bit_in_the_header_is_damage(path, octet):
    flip(wal_of(path), octet)
    assert wal_damage(path) == f"WAL damaged: 0 of {frames(path)} frames readable"


def test_a_wal_that_was_cut_is_damage(path):
    whole = frames(path)
    wal_of(path).write_bytes(wal_of(path).read_bytes()[: HEADER + 3 * FRAME])
    assert wal_damage(path) == f"WAL damaged: 3 of {whole} frames readable"


def incomplete(path):
    """Append a frame as a process leaves it that was killed while it wrote."""
    salts = wal_of(path).read_bytes()[16:24]
    with wal_of(path).open("ab") as file:
        file.write(pack(">II", 2, 0) + salts + bytes(8 + PAGE))


def test_an_incomplete_frame_behind_the_last_commit_is_no_damage(path):
    incomplete(path)
    assert wal_damage(path) == ""
    without_index(path)
    assert wal_damage(path) != ""


def test_the_frames_of_an_older_wal_are_no_damage(path):
    salts = unpack_from(">II", wal_of(path).read_bytes(), 16)
    with wal_of(path).open("ab") as file:
        file.write(pack(">IIII", 2, 0, salts[0] - 1, salts[1] ^ 0x5555) + bytes(8 + PAGE))
    assert wal_damage(path) == ""
    without_index(path)
    assert wal_damage(path) == ""


def test_a_reset_wal_is_no_damage(path):
    with store_at(path) as store:
        store.connection.execute("PRAGMA wal_checkpoint(RESTART)")
        put(store, new_message())
        assert wal_damage(path) == ""
        path.with_name("1.db-shm").rename(path.with_name("1.db-other"))
        assert wal_damage(path) == ""


@pytest.mark.parametrize("at", [5, 20, HEADER + FRAME + 5, HEADER + 6 * FRAME + 20, -3])
def test_a_repaired_wal_has_all_frames(path, at):
    flip(wal_of(path), at)
    octets = wal_of(path).read_bytes()
    repair_wal(path)
    assert wal_damage(path) == ""
    assert wal_of(path).stat().st_mode & 0o777 == 0o600
    repaired = wal_of(path).read_bytes()
    for start in range(HEADER, len(octets), FRAME):
        assert repaired[start + 24 : start + FRAME] == octets[start + 24 : start + FRAME]
    assert recovered(path) == 10


def test_without_repair_messages_are_lost(path):
    flip(wal_of(path), HEADER + 30 * FRAME + 5)
    assert recovered(path) < 10


def test_a_frame_of_an_impossible_page_is_dropped(path):
    flip(wal_of(path), HEADER + 20 * FRAME, 0x40)
    before = frames(path)
    repair_wal(path)
    assert frames(path) == before - 1


def test_an_intact_wal_is_not_rewritten(path):
    octets = wal_of(path).read_bytes()
    repair_wal(path)
    assert wal_of(path).read_bytes() == octets


def test_commands_refuse_a_damaged_file_without_an_owner(path):
    flip(wal_of(path), HEADER + 5 * FRAME + 100)
    octets = wal_of(path).read_bytes()
    with pytest.raises(DamagedFileError, match="start the server"):
        list(admin.entries(path.parent, Selection(), 9))
    assert wal_of(path).read_bytes() == octets


def test_a_file_is_owned_while_it_is_claimed(path):
    assert not is_owned(path)
    claimed = claim(path.parent)
    assert claimed.path == path
    assert is_owned(path)
    claimed.release()
    assert not is_owned(path)
