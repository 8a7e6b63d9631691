"""A pytest fixture: a server to send mail to, and the messages it has received.

    pytest_plugins = ["gatepost.pytest_plugin"]       # in conftest.py

    def test_the_report_is_sent(gatepost_server):
        send_report(*gatepost_server.address)
        assert gatepost_server.messages[0].recipients == ["boss@example.com"]

It is asked for by name and no entry point of pytest's, so that it is in no test run that does not
want it. The only module that needs pytest.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from gatepost.testing import RunningServer


@pytest.fixture
def gatepost_options() -> Mapping[str, Any]:
    """Return what `gatepost_server` is made with: override it with arguments of RunningServer."""
    return {}


@pytest.fixture
def gatepost_server(gatepost_options: Mapping[str, Any]) -> Iterator[RunningServer]:
    """Run a server for one test: `address` is where, `messages` what it has received."""
    with RunningServer(**gatepost_options) as server:
        yield server
