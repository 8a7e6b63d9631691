"""A pytest fixture: a server that receives mail from the program under test.

    pytest_plugins = ["gatepost.pytest_plugin"]       # in conftest.py

    def test_the_report_is_sent(gatepost_server):
        send_report(*gatepost_server.address)
        assert gatepost_server.messages[0].recipients == ["boss@example.com"]

It is not a pytest entry point, so only test runs that name the module load it. No other module of
the package requires pytest.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from gatepost.testing import RunningServer


@pytest.fixture
def gatepost_options() -> Mapping[str, Any]:
    """Return the keyword arguments of the `RunningServer`; override this fixture to change them."""
    return {}


@pytest.fixture
def gatepost_server(gatepost_options: Mapping[str, Any]) -> Iterator[RunningServer]:
    """Run a server for one test; `address` is its host and port, `messages` has the mail."""
    with RunningServer(**gatepost_options) as server:
        yield server
