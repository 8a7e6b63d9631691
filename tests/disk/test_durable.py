"""Private folders: their mode, whatever the umask."""

import os
import stat

import pytest

from gatepost.disk.durable import ensure_private


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_new_folders_are_open_to_their_owner_only(tmp_path, umask):
    folder = tmp_path / "var" / "tmp"
    assert ensure_private(folder) == folder
    assert (mode(folder), mode(folder.parent)) == (0o700, 0o700)


def test_an_existing_folder_keeps_its_mode(tmp_path, umask):
    tmp_path.chmod(0o750)
    ensure_private(tmp_path / "tmp")
    ensure_private(tmp_path)
    assert mode(tmp_path) == 0o750


def test_a_file_in_place_of_a_folder_is_an_error(tmp_path):
    (tmp_path / "var").touch()
    with pytest.raises(NotADirectoryError):
        ensure_private(tmp_path / "var" / "tmp")
