"""A store that most tests of the spool begin with."""

import pytest
from tests.queue.spool.samples import store_at


@pytest.fixture
def store(tmp_path):
    with store_at(tmp_path / "1.db") as made:
        yield made
