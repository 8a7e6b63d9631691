"""Servers for the tests: one shared by a module, or one for a single test."""

import contextlib

import pytest
from tests.e2e import server as e2e
from tests.e2e.server import IMPURE, Server


@contextlib.contextmanager
def serving(folder, extra="", **settings):
    """Run a server, end it with SIGTERM, and check the line ends of all delivered mail."""
    server = Server(folder, extra, **settings)
    try:
        yield server
        if not server.has_ended():
            server.stop()
    finally:
        server.kill()
    assert not [mail for mail in server.delivered() if IMPURE.search(mail)]


@contextlib.contextmanager
def relaying(folder, *routes):
    """Run a server with these routes instead of the default one; see `relay`."""
    before, _, _ = e2e.CONFIG.partition("[[route]]")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(e2e, "CONFIG", before)
        with serving(folder, "\n".join(routes)) as running:
            yield running


def relay(port, client, mode="direct", recipients="*"):
    """Return a route to a local port with these `client` options."""
    return (
        f'[[route]]\nfor = ["{recipients}"]\nto = "smtp://127.0.0.1:{port}"\n'
        f'client = {{ {client} }}\nmode = "{mode}"\n'
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def tolerant(tmp_path_factory):
    """A server that tolerates unauthorised pipelining."""
    with serving(tmp_path_factory.mktemp("tolerant"), pipelining="tolerate") as running:
        yield running


@pytest.fixture
def own_server(tmp_path):
    with serving(tmp_path) as running:
        yield running
