"""The disk that the tests fill and whose power they cut."""

import errno
import os

import pytest
from tools import disk, peers


def write_and_sync(file, text):
    with file.open("w") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())


def test_a_cut_leaves_what_was_synced_and_nothing_else(make_disk):
    own = make_disk(16)
    write_and_sync(own.root / "kept", "kept")
    (own.root / "lost").write_text("lost")
    own.cut()
    with pytest.raises(OSError, match="Input/output error"):
        (own.root / "late").write_text("late")
    own.restore()
    assert {path.name for path in own.root.iterdir()} == {"kept", "lost+found"}
    assert (own.root / "kept").read_text() == "kept"


def test_a_full_disk_has_no_room_until_it_has(make_disk):
    own = make_disk(16)
    with own.full(), pytest.raises(OSError, match="No space left") as caught:
        (own.root / "file").write_bytes(b"x")
    assert caught.value.errno == errno.ENOSPC
    (own.root / "file").write_bytes(b"x" * 100_000)


def use_and_fail(folder):
    with disk.mounted(folder, 16) as own, (own.root / "open").open("w"):
        own.cut()
        raise RuntimeError("broken")


def test_nothing_stays_after_a_failure(tmp_path, make_disk):
    make_disk(16)  # or skip
    with pytest.raises(RuntimeError, match="broken"):
        use_and_fail(tmp_path / "failed")
    assert not os.path.ismount(tmp_path / "failed")
    assert not list((tmp_path / "failed").iterdir())
    assert not list(tmp_path.glob("failed.*"))


def test_who_is_not_root_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert disk.why_not(tmp_path) == "only root can mount a disk"


def test_what_cannot_be_is_said_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "SYSTEM_PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert disk.why_not(tmp_path).startswith("mkfs.ext4: ")
    assert [path.name for path in tmp_path.iterdir()] == ["probe"]
