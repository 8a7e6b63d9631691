"""The disk for tests of power cuts and of a full disk."""

import errno
import os

import pytest
from tools import disk, peers


def write_and_sync(file, text):
    with file.open("w") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())


def test_a_cut_keeps_only_synced_data(make_disk):
    small = make_disk(16)
    write_and_sync(small.root / "kept", "kept")
    (small.root / "lost").write_text("lost")
    small.cut()
    with pytest.raises(OSError, match="Input/output error"):
        (small.root / "late").write_text("late")
    small.restore()
    assert {path.name for path in small.root.iterdir()} == {"kept", "lost+found"}
    assert (small.root / "kept").read_text() == "kept"


def test_a_full_disk_refuses_writes_until_space_is_freed(make_disk):
    small = make_disk(16)
    with small.full(), pytest.raises(OSError, match="No space left") as caught:
        (small.root / "file").write_bytes(b"x")
    assert caught.value.errno == errno.ENOSPC
    (small.root / "file").write_bytes(b"x" * 100_000)


def use_and_fail(folder):
    with disk.mounted(folder, 16) as small, (small.root / "open").open("w"):
        small.cut()
        raise RuntimeError("broken")


def test_a_failure_leaves_no_mount_and_no_file(tmp_path, make_disk):
    make_disk(16)  # or skip
    with pytest.raises(RuntimeError, match="broken"):
        use_and_fail(tmp_path / "failed")
    assert not os.path.ismount(tmp_path / "failed")
    assert not list((tmp_path / "failed").iterdir())
    assert not list(tmp_path.glob("failed.*"))


def test_only_root_can_mount_a_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert disk.why_not(tmp_path) == "only root can mount a disk"


def test_a_missing_program_is_reported_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "SYSTEM_PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert disk.why_not(tmp_path).startswith("mkfs.ext4: ")
    assert [path.name for path in tmp_path.iterdir()] == ["probe"]
