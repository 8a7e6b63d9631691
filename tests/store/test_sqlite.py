"""The store of one machine: several processes, locks, damage, full disks, kills, power cuts."""

import asyncio
import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.store.stores import QUOTA, SqliteStores, call

from gatepost.store.errors import StoreError
from gatepost.store.quota import QUOTA as LARGE_QUOTA
from gatepost.store.sqlite import backend, files, writer
from gatepost.store.sqlite.database import DamagedFileError, connect
from gatepost.store.sqlite.entries import Space

CHILD = Path(__file__).with_name("child.py")
HOUR = 3600.0


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data" / "store"


@pytest.fixture
def make(runner, folder):
    """A function that makes connections, which are closed after the test."""
    with contextlib.ExitStack() as stack:

        def make(folder=folder, **options):
            made = SqliteStores(runner, folder, **{"quota": LARGE_QUOTA, **options})
            stack.callback(made.close)
            return made

        yield make


@contextlib.contextmanager
def child(folder, command):
    process = subprocess.Popen(
        [sys.executable, str(CHILD), str(folder), command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


# files


def test_no_file_exists_before_the_first_operation(make, folder):
    store = make().open()
    assert not folder.exists()
    store.incr("n")
    assert files.current(folder).exists()


def test_only_the_user_of_the_server_can_read_the_files(make, folder):
    old = os.umask(0)
    try:
        make().open().incr("n")
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"1.db": 0o600, "1.db-wal": 0o600, "1.db-shm": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_state_survives_a_restart(make):
    stores = make()
    store = stores.open()
    store.set("text", "value", ttl=HOUR)
    store.incr("n", 5)
    stores.close()
    again = make().open()
    assert (again.get("text"), again.get("n")) == ("value", 5)


def test_start_opens_the_file(make, folder, runner):
    stores = make(timeout=0.0001)
    store = stores.open(guarded=False)
    runner.run(stores.backends[0].start())
    assert files.current(folder).exists()
    assert store.incr("n") == 1


# locks


def test_a_lock_of_another_process_is_an_error_after_the_timeout(make, folder):
    make().open().set("k", 1)
    store = make(timeout=1.0).open(guarded=False)
    assert store.get("k") == 1
    with child(folder, "lock") as process:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(StoreError, match=r"locked|no answer in time"):
            store.set("k", 2)
        assert store.get("k") == 1
    make().open().set("k", 3)
    assert store.get("k") == 3


def test_an_operation_waits_for_a_lock_while_the_loop_continues(make, folder, runner):
    store = make().open(guarded=False)
    store.set("k", 1)

    async def scenario(process):
        waiting = asyncio.create_task(store.store.incr("k"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        process.stdin.close()
        return await waiting

    with child(folder, "lock") as process:
        assert process.stdout.readline() == "locked\n"
        assert runner.run(scenario(process)) == 2


def test_a_lock_during_the_first_operation_is_an_error(make, folder):
    make().open().set("k", 1)
    store = make(timeout=0.05).open(guarded=False)
    with child(folder, "lock") as process:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(StoreError):
            store.set("k", 2)


def test_an_error_in_place_is_undone_before_the_thread_repeats_it(make, monkeypatch):
    store = make(timeout=5).open(guarded=False)
    store.incr("n")
    run, errors = Space.run, [sqlite3.OperationalError("disk I/O error")]

    def failing(self, operations, now):
        results = run(self, operations, now)
        if errors:
            raise errors.pop()
        return results

    monkeypatch.setattr(Space, "run", failing)
    assert [store.incr("n"), store.incr("n")] == [2, 3]


# processes


def test_processes_count_together(make, folder):
    store = make().open()
    with child(folder, "count") as one, child(folder, "count") as other:
        lines = [process.stdout.readline() for process in (one, other) for _ in range(50)]
    seen = sorted(map(int, lines))
    assert len(set(seen)) == 100
    assert store.incr("n") > seen[-1]


def test_a_kill_loses_no_answer(make, folder):
    acknowledged = 0
    for lines in (1, 40, 7, 120):
        with child(folder, "count") as process:
            for _ in range(lines):
                number = int(process.stdout.readline())
                assert number > acknowledged
                acknowledged = number
            process.kill()
            rest = process.stdout.read().split("\n")[:-1]
        acknowledged = int(rest[-1]) if rest else acknowledged
    assert make().open().get("n") >= acknowledged
    assert not list(folder.glob("*.damaged"))


def test_a_power_cut_leaves_a_usable_file(make, make_disk):
    disk = make_disk(32)
    stores = make(disk.root / "store")
    store = stores.open()
    for number in range(300):
        store.set(f"k{number}", "x" * 100)
    disk.cut()
    stores.close()
    disk.restore()
    again = make(disk.root / "store").open()
    again.set("k", "after")
    assert again.get("k") == "after"


# damage


def spoil(path, offset=0):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * 8192)


def test_a_damaged_file_is_set_aside_and_an_empty_one_used(make, folder):
    stores = make()
    stores.open().set("k", 1)
    stores.close()
    spoil(folder / "1.db")
    with capture_logs() as logs:
        store = make().open(guarded=False)
        assert store.get("k") is None
    (line,) = logs
    assert line["event"] == "damaged store replaced"
    assert line["renamed"] == str(folder / "1.db.damaged")
    assert (folder / "1.db.damaged").read_bytes()[:4] == b"\xa5" * 4
    store.set("k", 2)
    assert make().open().get("k") == 2


@pytest.mark.parametrize("content", [b"", b"\0", b"SQLite format 3\0", b"garbage" * 5000])
def test_any_content_leads_to_a_usable_store(make, folder, content):
    folder.mkdir(parents=True)
    (folder / "1.db").write_bytes(content)
    store = make().open(guarded=False)
    assert store.incr("n") == 1
    assert make().open().incr("n") == 2


@pytest.mark.parametrize("content", [b"", b"garbage" * 5000])
def test_any_wal_leads_to_a_usable_store(make, folder, content):
    stores = make()
    stores.open().set("k", 1)
    stores.close()
    (folder / "1.db-wal").write_bytes(content)
    store = make().open(guarded=False)
    store.set("k", 2)
    assert store.get("k") == 2


FOREIGN = [
    "CREATE TABLE other (a)",
    "PRAGMA user_version = 99",
    "CREATE TABLE entry (a); CREATE TABLE usage (b); PRAGMA user_version = 1",
]


@pytest.mark.parametrize("script", FOREIGN)
def test_a_database_with_other_tables_is_set_aside(make, folder, script):
    folder.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(folder / "1.db")) as connection:
        connection.executescript(script)
    assert make().open(guarded=False).incr("n") == 1
    assert (folder / "1.db.damaged").exists()


def test_workers_agree_on_the_file_after_damage(make, folder):
    old = make().open(guarded=False)
    old.incr("n")
    spoil(folder / "1.db")
    (folder / "1.db-wal").unlink()
    new = make().open(guarded=False)
    assert new.incr("n") == 1
    assert old.incr("n") == 2
    assert new.incr("n") == 3
    assert files.current(folder) == folder / "2.db"


def test_damage_found_while_the_file_is_open_replaces_it(make, folder, runner):
    stores = make()
    store = stores.open(guarded=False)
    fill = "x" * 4000
    store.batch(*[call("set", f"k{number}", fill) for number in range(1000)])
    assert runner.run(checkpointed(stores.backends[0]))
    spoil_pages(folder / "1.db")
    found = [answer(store, f"k{number}") for number in range(1000)]
    assert None in found
    assert (folder / "1.db.damaged").exists()
    store.set("k", 1)
    assert store.get("k") == 1


async def checkpointed(made):
    await made._thread().submit(writer.Database.maintain)
    return True


def spoil_pages(path):
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))


def answer(store, key):
    try:
        return store.get(key)
    except StoreError as error:
        return error


def test_two_workers_that_find_the_damage_replace_the_file_once(make, folder):
    """Both transactions fail before either worker has the lock of the folder."""
    stores = make()
    one, other = (stores.open(guarded=False) for _ in range(2))
    one.incr("n")
    other.incr("n")
    databases = [made._thread().database for made in stores.backends]
    damage = DamagedFileError("damaged")
    assert [database.replace(damage) for database in databases] == [True, True]
    assert [one.incr("n"), other.incr("n")] == [1, 2]
    assert [path.name for path in sorted(folder.glob("*.damaged"))] == ["1.db.damaged"]
    assert files.current(folder) == folder / "2.db"


def test_an_index_that_does_not_match_its_table_is_damage(make, folder):
    """SQLite reports no error for such a file, and the quota would not hold."""
    stores = make()
    store = stores.open()
    for number in range(20):
        store.set(f"k{number}", 1, ttl=HOUR)
    stores.close()
    with contextlib.closing(sqlite3.connect(folder / "1.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master"
            " WHERE name = 'usage') WHERE name = 'entry_expires'"
        )
    with capture_logs() as logs:
        assert make().open(guarded=False).get("k1") is None
    assert [line["event"] for line in logs] == ["damaged store replaced"]


def test_start_reports_nothing_if_the_folder_cannot_be_created(make, tmp_path, runner):
    (tmp_path / "file").write_text("")
    stores = make(tmp_path / "file" / "store")
    store = stores.open(guarded=False)
    runner.run(stores.backends[0].start())
    with pytest.raises(StoreError):
        store.incr("n")


def test_only_the_last_damaged_file_is_kept(make, folder):
    for number in (1, 2, 3):
        stores = make()
        stores.open().incr("n")
        stores.close()
        spoil(folder / f"{number}.db")
    make().open().incr("n")
    assert sorted(path.name for path in folder.glob("*.damaged")) == ["3.db.damaged"]
    assert files.current(folder) == folder / "4.db"


def test_a_disk_that_damages_every_file_is_an_error(make, folder, monkeypatch):
    def prepare(_connection, _size):
        raise DamagedFileError("damaged")

    monkeypatch.setattr(writer, "prepare", prepare)
    store = make().open(guarded=False)
    with pytest.raises(StoreError, match="damaged"):
        store.incr("n")
    assert sorted(path.name for path in folder.iterdir()) == ["1.db.damaged", "2.db"]


def test_a_file_that_was_removed_is_created_again(make, folder):
    store = make().open(guarded=False)
    store.incr("n")
    for path in folder.iterdir():
        path.unlink()
    assert store.incr("n") == 1
    assert make().open().incr("n") == 2


def test_rows_with_other_types_count_as_absent(make, folder):
    store = make().open(guarded=False)
    store.set("k", 1)
    with contextlib.closing(connect(folder / "1.db", 60)) as connection:
        connection.execute("UPDATE entry SET stored = x'ff', expires = 'text'")
    assert store.get("k") is None
    assert store.incr("k") == 1


# space


def fill(store):
    """Write 40 MB, more than the disks and files here have."""
    for number in range(10_000):
        store.set(f"k{number}", "x" * 4000)


def test_a_full_disk_is_an_error_and_entries_stay_readable(make, make_disk):
    disk = make_disk(32)
    store = make(disk.root / "store").open(guarded=False)
    store.set("k", 1)
    with disk.full():
        with pytest.raises(StoreError, match="full"):
            fill(store)
        assert store.get("k") == 1
    store.set("k", 2)
    assert store.get("k") == 2


def test_a_file_at_its_size_limit_is_an_error(make):
    store = make(size=128 * 1024).open(guarded=False)
    store.set("k", 1)
    with pytest.raises(StoreError, match="full"):
        fill(store)
    assert store.get("k") == 1
    assert store.delete("k")


def test_a_folder_that_cannot_be_created_is_an_error(make, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        make(tmp_path / "file" / "store").open(guarded=False).incr("n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")
def test_a_folder_that_cannot_be_written_is_an_error(make, folder):
    stores = make()
    stores.open().set("k", 1)
    stores.close()
    for path in (*folder.parents, folder):
        if path.stat().st_mode & 0o777 == 0o700:
            path.chmod(0o755)
    (folder / "1.db").chmod(0o644)
    os.seteuid(65534)
    try:
        store = make().open(guarded=False)
        with pytest.raises(StoreError):
            store.set("k", 2)
    finally:
        os.seteuid(0)
    assert make().open().get("k") == 1


# maintenance


def test_a_checkpoint_removes_expired_entries_and_restarts_the_wal(make, folder, monkeypatch):
    monkeypatch.setattr(backend, "CHECKPOINT", 50)
    stores = make()
    store = stores.open(guarded=False)
    store.set("expired", 1, ttl=HOUR)
    stores.advance(2 * HOUR)
    for number in range(51):
        store.set(f"k{number}", "x" * 3000)
    store.batch(*[call("get", "k0")] * (backend.IN_PLACE + 1))  # waits for the thread
    with contextlib.closing(connect(folder / "1.db", 60)) as connection:
        keys = {key for (key,) in connection.execute("SELECT key FROM entry")}
        (octets,) = connection.execute(
            "SELECT octets FROM usage WHERE namespace = 'contract'"
        ).fetchone()
    assert len(keys) == 51
    assert "expired" not in keys
    assert octets == sum(100 + len(key) + 3000 for key in keys)
    assert (folder / "1.db").stat().st_size > 50 * 3000


def test_a_long_batch_does_not_run_on_the_event_loop(make):
    stores = make()
    store = stores.open(guarded=False)
    store.incr("n")
    near = stores.backends[0]._near
    commits = near.commits
    store.batch(*[call("incr", "n")] * (backend.IN_PLACE + 1))
    assert near.commits == commits
    store.batch(*[call("incr", "n")] * backend.IN_PLACE)
    assert near.commits == commits + 1


def test_the_quota_holds_for_all_connections_together(make):
    stores = make(quota=QUOTA)
    one, other = stores.open(), stores.open()
    for number in range(10):
        (one, other)[number % 2].set(f"key-{number}".ljust(20), 1, ttl=HOUR + number)
    found = [number for number in range(10) if one.get(f"key-{number}".ljust(20))]
    assert found == [5, 6, 7, 8, 9]
