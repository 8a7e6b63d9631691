"""Servers for the tests: one for each module that needs no other, or one of a test's own."""

import contextlib

import pytest
from tests.e2e.server import IMPURE, Server


@contextlib.contextmanager
def serving(folder, extra="", **settings):
    """Run a server, end it with SIGTERM, and look through all that it has delivered."""
    server = Server(folder, extra, **settings)
    try:
        yield server
        if not server.has_ended():
            server.stop()
    finally:
        server.kill()
    assert not [mail for mail in server.delivered() if IMPURE.search(mail)]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def tolerant(tmp_path_factory):
    """A server whose clients need not wait for replies."""
    with serving(tmp_path_factory.mktemp("tolerant"), pipelining="tolerate") as running:
        yield running


@pytest.fixture
def own_server(tmp_path):
    with serving(tmp_path) as running:
        yield running
