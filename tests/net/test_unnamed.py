"""Files without a name: in memory, or temporary files."""

import stat
from pathlib import Path

import pytest

from gatepost.net import unnamed


@pytest.mark.parametrize("in_memory", [unnamed._IN_MEMORY, False])
def test_content_is_readable_by_path_until_the_block_ends(monkeypatch, in_memory):
    monkeypatch.setattr(unnamed, "_IN_MEMORY", in_memory)
    with unnamed.readable(b"secret") as path:
        assert Path(path).read_bytes() == b"secret"
    assert not Path(path).exists()


def test_temporary_file_is_readable_by_its_owner_only(monkeypatch):
    monkeypatch.setattr(unnamed, "_IN_MEMORY", False)
    with unnamed.readable(b"secret") as path:
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
