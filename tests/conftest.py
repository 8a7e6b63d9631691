"""What all tests share: property tests have no time limit, the machine may be busy."""

import contextlib

import pytest
from hypothesis import settings
from tools import disk

settings.register_profile("gatepost", deadline=None)
settings.load_profile("gatepost")


@pytest.fixture
def make_disk(tmp_path):
    """A function that makes a disk of so many MiB (`tools.disk`); skips where there can be none."""
    if why := disk.why_not(tmp_path):
        pytest.skip(why)
    with contextlib.ExitStack() as stack:
        yield lambda mib: stack.enter_context(disk.mounted(tmp_path / "disk", mib))
