"""The store of most spool tests."""

import pytest
from tests.queue.spool.samples import store_at


@pytest.fixture
def store(tmp_path):
    with store_at(tmp_path / "1.db") as made:
        yield made
