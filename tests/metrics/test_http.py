"""The HTTP server for metrics and health."""

import json
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs
from tests.metrics.samples import connection

from gatepost.metrics import http
from gatepost.metrics.counting import Counting
from gatepost.metrics.health import Health
from gatepost.metrics.http import MOST_CONNECTIONS, serve_metrics

WELL = Health(live=True, ready=True, since=5.0, version="1", workers=[7], warnings=["one"])


class Endpoint:
    """A server whose health the test sets."""

    def __init__(self, listen="127.0.0.1:0"):
        self.health = WELL
        self.counting = Counting()
        self.server = serve_metrics(listen, self.counting, self.current)

    def current(self):
        if isinstance(self.health, Exception):
            raise self.health
        return self.health

    def connect(self):
        address = self.server.address
        return socket.create_connection((address.host, address.port), 60)

    def ask(self, octets):
        """Return everything that the server sends."""
        with self.connect() as client:
            client.sendall(octets)
            client.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: client.recv(65536), b""))

    def get(self, path, method="GET", **fields):
        """Return the status code, the header and the content of an answer."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        answer = self.ask(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        header, _, content = answer.partition(b"\r\n\r\n")
        return int(header.split()[1]), header.decode(), content.decode()


@pytest.fixture
def endpoint():
    made = Endpoint()
    yield made
    made.server.close()


def test_metrics_are_served_in_the_format_of_prometheus(endpoint):
    endpoint.counting.record(connection(end="quit"))
    code, header, content = endpoint.get("/metrics")
    assert code == 200
    assert "Content-Type: text/plain; version=0.0.4; charset=utf-8" in header
    assert f"Content-Length: {len(content)}" in header
    names = {family.name for family in text_string_to_metric_families(content)}
    assert "gatepost_connections" in names


def test_metrics_are_served_as_open_metrics(endpoint):
    _, header, content = endpoint.get("/metrics", Accept="application/openmetrics-text")
    assert "Content-Type: application/openmetrics-text" in header
    assert content.endswith("# EOF\n")


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/health?x=1"])
def test_a_server_that_is_well_answers_200(endpoint, path):
    code, header, content = endpoint.get(path)
    assert code == 200
    assert "Content-Type: application/json" in header
    found = json.loads(content)
    assert found["workers"] == [7]
    assert found["warnings"] == ["one"]


@pytest.mark.parametrize(
    ("health", "codes"),
    [
        (
            Health(live=True, ready=False),
            {"/health": 503, "/health/ready": 503, "/health/live": 200},
        ),
        (Health(live=False, ready=False), dict.fromkeys(("/health", "/health/live"), 503)),
    ],
)
def test_a_server_that_is_not_well_answers_503(endpoint, health, codes):
    endpoint.health = health
    assert {path: endpoint.get(path)[0] for path in codes} == codes


def test_the_answer_to_head_has_no_content(endpoint):
    code, header, content = endpoint.get("/metrics", method="HEAD")
    assert (code, content) == (200, "")
    assert "Content-Length: " in header


@pytest.mark.parametrize("path", ["/", "/metrics/", "/../etc/passwd", "/healthy"])
def test_any_other_path_is_not_found(endpoint, path):
    assert endpoint.get(path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get"])
def test_any_other_method_is_refused(endpoint, method):
    assert endpoint.get("/metrics", method=method)[0] == 501


def test_a_failure_is_logged_and_not_shown_to_the_client(endpoint, capfd):
    endpoint.health = ValueError("secret")
    with capture_logs() as logged:
        code, _, content = endpoint.get("/health")
    assert (code, content) == (500, "see the log of the server\n")
    assert logged == [
        {"event": "metrics failed", "error": "ValueError: secret", "log_level": "error"}
    ]
    endpoint.health = WELL
    assert endpoint.get("/health")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_more_connections_than_the_limit_are_closed(endpoint):
    waiting = [endpoint.connect() for _ in range(MOST_CONNECTIONS)]
    try:
        for one in waiting:  # each has a thread of its own once its first octet is read
            one.sendall(b"GET")
        while endpoint.server._server._free._value:
            pass
        with endpoint.connect() as client:
            assert client.recv(1) == b""
    finally:
        for one in waiting:
            one.close()


def test_a_client_that_sends_slowly_is_closed(monkeypatch, endpoint):
    fired = threading.Event()

    class AtOnce(threading.Timer):
        def __init__(self, _seconds, function, arguments):
            super().__init__(0, function, arguments)
            fired.set()

    monkeypatch.setattr(http.threading, "Timer", AtOnce)
    with endpoint.connect() as client:
        client.sendall(b"GET /metr")
        assert fired.wait(60)
        assert client.recv(1) == b""


def test_close_frees_the_port(endpoint):
    address = endpoint.server.address
    endpoint.server.close()
    again = serve_metrics(str(address), Counting(), lambda: WELL)
    assert again.address == address
    again.close()
    endpoint.server = serve_metrics("127.0.0.1:0", Counting(), lambda: WELL)


def test_an_address_of_ipv6_is_served():
    made = Endpoint("[::1]:0")
    try:
        assert made.get("/health")[0] == 200
    finally:
        made.server.close()


def test_a_port_that_is_taken_is_an_error(endpoint):
    with pytest.raises(OSError, match="in use"):
        serve_metrics(str(endpoint.server.address), Counting(), lambda: WELL)


def test_another_kind_of_address_is_an_error():
    with pytest.raises(OSError, match="expected an IP address with a port"):
        serve_metrics("unix:x", Counting(), lambda: WELL)


@pytest.fixture(scope="module")
def shared():
    made = Endpoint()
    yield made
    made.server.close()


@given(request=st.one_of(st.binary(max_size=300), st.from_regex(rb"(GET|HEAD) /\S* [^\n]*\r?\n")))
def test_no_request_breaks_the_server(shared, request):
    shared.ask(request)
    assert shared.get("/health")[0] == 200
