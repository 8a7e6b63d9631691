"""A dashboard for each test that asks for one."""

import pytest
from tests.web.made import RECORDS
from tests.web.served import Dashboard, write_records


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A dashboard with the records of `made` for tests that do not change it."""
    folder = tmp_path_factory.mktemp("shared")
    write_records(folder / "var", *RECORDS)
    with Dashboard(folder) as running:
        yield running


@pytest.fixture
def dashboard(tmp_path):
    """A dashboard of one test, with the records of `made`."""
    write_records(tmp_path / "var", *RECORDS)
    with Dashboard(tmp_path) as running:
        yield running
