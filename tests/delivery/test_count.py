"""The messages that count in a Maildir."""

import os
from pathlib import Path

import pytest

from gatepost.delivery.maildir.count import change_times, count_usage
from gatepost.delivery.maildir.maildirsize import Usage

DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture
def root(tmp_path):
    return make(tmp_path / "box")


def make(folder):
    for name in ("tmp", "new", "cur"):
        (folder / name).mkdir(parents=True)
    return folder


def put(path, size=10):
    path.write_bytes(b"x" * size)


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("1.x.host", 10),
        ("1.x.host,S=1234", 1234),
        ("1.x.host,S=1234:2,", 1234),
        ("1.x.host,S=1234,W=1300:2,FRS", 1234),
        ("1.x.host,W=1300,S=1234:2,Sa", 1234),
        ("1.x.host,S=0", 0),
        ("1.x.host,S=", 10),
        ("1.x.host,S=x", 10),
        ("1.x.host,S=12x", 10),
        ("1.x.host,S=-5", 10),
        ("1.x.host,S=" + "9" * 19, 10),
    ],
)
def test_sizes_come_from_names(root, name, octets):
    put(root / "cur" / name)
    assert count_usage(root) == Usage(octets, 1)


def test_all_folders_count_except_trash(root):
    for folder in (root, make(root / ".Junk"), make(root / ".Lists.python")):
        put(folder / "new/1.a")
        put(folder / "cur/2.b:2,S")
        put(folder / "cur/3.c:2,ST")
        put(folder / "cur/.hidden")
        put(folder / "tmp/4.d")
    put(make(root / ".Trash") / "cur/1.a")
    put(make(root / "folder") / "cur/1.a")
    put(root / ".file")
    (root / ".empty").mkdir()
    assert count_usage(root) == Usage(60, 6)


def test_symbolic_links_are_not_followed(root, tmp_path):
    elsewhere = make(tmp_path / "elsewhere")
    put(elsewhere / "new/1.a")
    put(elsewhere / "cur/2.b")
    (root / ".Junk").symlink_to(elsewhere)
    (root / "cur").rmdir()
    (root / "cur").symlink_to(elsewhere / "cur")
    (root / "new/1.a").symlink_to(elsewhere / "new/1.a")
    assert count_usage(root) == Usage(0, 0)


def test_only_files_count(root):
    (root / "new/1.a,S=5").mkdir()
    os.mkfifo(root / "new/2.b,S=5")
    assert count_usage(root) == Usage(0, 0)


def test_an_absent_maildir_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        count_usage(tmp_path / "absent")


def test_a_message_that_vanishes_is_skipped(root, monkeypatch):
    put(root / "new/1.a")
    put(root / "new/2.b,S=7")
    real = os.scandir

    class Scanned:
        """Entries of `scandir`, one of which vanishes."""

        def __init__(self, folder):
            with real(folder) as entries:
                self.entries = list(entries)
            if "1.a" in [entry.name for entry in self.entries]:
                (root / "new/1.a").unlink()

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(os, "scandir", Scanned)
    assert count_usage(root) == Usage(7, 1)


def test_change_times_show_a_change_in_any_folder(root):
    junk = make(root / ".Junk")
    before = change_times(root)
    assert change_times(root) == before
    os.utime(junk / "cur", ns=(0, 0))
    assert change_times(root) != before


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="needs /proc/self/fd")
def test_descriptors_are_closed(root):
    make(root / ".Junk")
    before = len(list(DESCRIPTORS.iterdir()))
    count_usage(root)
    change_times(root)
    assert len(list(DESCRIPTORS.iterdir())) == before
