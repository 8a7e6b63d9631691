"""Every server of these tests has a worker the test can get at."""

import pytest
from tests.server.loopback import LOOPS, Recorded


@pytest.fixture(autouse=True)
def _recorded(monkeypatch):
    monkeypatch.setattr("gatepost.server.server.Connections", Recorded)
    monkeypatch.setattr(Recorded, "made", [])


@pytest.fixture(params=list(LOOPS))
def loop(request):
    return request.param
