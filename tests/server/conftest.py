"""Fixtures of the server's tests: access to the connections of a server, and both event loops."""

import pytest
from tests.server.loopback import LOOPS, RecordedConnections


@pytest.fixture(autouse=True)
def _recorded(monkeypatch):
    monkeypatch.setattr("gatepost.server.server.Connections", RecordedConnections)
    monkeypatch.setattr(RecordedConnections, "made", [])


@pytest.fixture(params=list(LOOPS))
def loop(request):
    return request.param
