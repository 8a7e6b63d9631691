"""The webhook target in a running server, with a web service of the test."""

import asyncio
import smtplib
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from examples.target_webhook import WebhookTarget

import gatepost

Requests = list[tuple[str, str, bytes]]


@contextmanager
def web_service(status: int) -> Generator[tuple[str, Requests]]:
    """Run a web service that replies with a status; yield its URL and the requests."""
    requests: Requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.headers["X-Mail-From"], self.headers["X-Rcpt-To"], body))
            self.send_response(status)
            self.end_headers()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/mail", requests
        finally:
            server.shutdown()
            thread.join()


def send(port: int) -> int:
    """Send a message; return the last reply code."""
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo()
        client.mail("bob@example.net")
        client.rcpt("ann@example.com")
        return client.data("Subject: hello\r\n\r\nHello\r\n")[0]


def deliver(url: str, folder: Path) -> int:
    """Send a message to a server with a route to the web service; return the reply code."""
    config = gatepost.config_from_dict(
        {
            "listen": [{"address": "127.0.0.1:0"}],
            "recipients": {"domains": ["example.com"]},
            "route": [{"to": f"webhook:{url}"}],
        },
        folder,
    )

    async def run() -> int:
        async with gatepost.Server(config, targets={"webhook": WebhookTarget}) as server:
            _, address = server.addresses[0]
            return await asyncio.to_thread(send, int(address.rpartition(":")[2]))

    return asyncio.run(run())


def test_the_web_service_gets_the_message(tmp_path: Path) -> None:
    """The request has the envelope and the message."""
    with web_service(204) as (url, requests):
        assert deliver(url, tmp_path) == 250
    [(sender, recipients, body)] = requests
    assert (sender, recipients) == ("bob@example.net", "ann@example.com")
    assert body.endswith(b"Subject: hello\r\n\r\nHello\r\n")


@pytest.mark.parametrize(("status", "code"), [(422, 554), (500, 451)])
def test_a_refusal_is_permanent_and_other_errors_are_not(
    tmp_path: Path, status: int, code: int
) -> None:
    """The status decides."""
    with web_service(status) as (url, _):
        assert deliver(url, tmp_path) == code


def test_a_missing_web_service_is_temporary(tmp_path: Path) -> None:
    """The client tries again later."""
    with web_service(204) as (url, _):
        pass
    assert deliver(url, tmp_path) == 451


def test_a_text_that_is_not_a_url_is_a_configuration_error(tmp_path: Path) -> None:
    """The server does not start."""
    with pytest.raises(gatepost.SetupError, match=r"^route\[0\].to: .*expected a URL"):
        deliver("", tmp_path)
