"""A small HTTP server for /metrics and /health, in threads of its own.

Theory of operation
-------------------
One thread accepts, and each connection has a thread. A connection gets one answer and is closed.

Security: only GET and HEAD of the paths in PAGES are answered; a query is ignored. Neither
requests nor errors are shown to the client or written to the log, apart from one line when an
answer cannot be made. There is no authentication: listen on an address that only the monitoring
can reach.

Limits: MOST_CONNECTIONS at the same time, more are closed at once. SECONDS for a request from its
first to its last octet and for its answer. A request line of 64 KiB and 100 header fields, which
are those of the standard library.
"""

import http.server
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from gatepost.config.listen import InetAddress, parse_listen_address
from gatepost.log.logger import get_logger
from gatepost.metrics.counting import Counting
from gatepost.metrics.exposition import expose
from gatepost.metrics.health import CHECKS, Health, answer

MOST_CONNECTIONS = 16
SECONDS = 10.0
_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"

_log = get_logger("gatepost.metrics")


class Page:
    """An answer: its status code, media type and octets."""

    __slots__ = ("code", "content", "media_type")

    def __init__(self, code: int, media_type: str, content: bytes) -> None:
        self.code = code
        self.media_type = media_type
        self.content = content


# Makes the page of a path from the value of the field Accept.
PageMaker = Callable[[str], Page]


class MetricsServer:
    """A running server; `address` is where it listens, with the real port."""

    def __init__(self, address: InetAddress, pages: Mapping[str, PageMaker]) -> None:
        self._server = _Server(address, pages)
        host, port = self._server.server_address[:2]
        self.address = InetAddress(str(host), int(port))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Accept no more; connections that are open end with their answer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve_metrics(listen: str, counting: Counting, health: Callable[[], Health]) -> MetricsServer:
    """Start to serve at an address such as "127.0.0.1:9925"; port 0 is any free port.

    `health` is called for each check, in any thread. Raises `ListenError` for another kind of
    address and OSError if the address cannot be used.
    """
    address = parse_listen_address(listen)
    if not isinstance(address, InetAddress):
        raise OSError(f'metrics.listen: expected an IP address with a port, found "{listen}"')

    def check(path: str) -> PageMaker:
        def make(_accept: str) -> Page:
            code, content = answer(path, health())
            return Page(code, _JSON, content)

        return make

    def metrics(accept: str) -> Page:
        content, media_type = expose(counting, accept)
        return Page(HTTPStatus.OK, media_type, content)

    return MetricsServer(address, {"/metrics": metrics, **{path: check(path) for path in CHECKS}})


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Accepts connections; `pages` are the answers by path."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, address: InetAddress, pages: Mapping[str, PageMaker]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self.pages = pages
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__((address.host, address.port), _Handler)

    def server_bind(self) -> None:
        """Bind, without the look-up of the host's name in the standard library."""
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handle a connection in a thread, or close it if there are too many."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Handle a connection; after SECONDS it is closed, however slow the client is."""
        timer = threading.Timer(SECONDS, _shut, [request])
        timer.daemon = True
        timer.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            timer.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that has closed the connection."""


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:  # it has been closed in the meantime
        return


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request."""

    server: _Server
    protocol_version = "HTTP/1.0"
    server_version = "Gatepost"
    sys_version = ""
    timeout = SECONDS
    error_message_format = "%(code)d %(message)s\n"
    error_content_type = _TEXT

    def do_GET(self) -> None:
        """Send a page."""
        page = self._page()
        self.send_response(page.code)
        self.send_header("Content-Type", page.media_type)
        self.send_header("Content-Length", str(len(page.content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.content)

    do_HEAD = do_GET  # noqa: N815 - a name of the base class

    def _page(self) -> Page:
        make = self.server.pages.get(self.path.partition("?")[0])
        if make is None:
            return Page(HTTPStatus.NOT_FOUND, _TEXT, b"expected /metrics or /health\n")
        try:
            return make(self.headers.get("Accept", ""))
        except Exception as error:  # noqa: BLE001 - the next scrape must be answered
            _log.error("metrics failed", error=f"{type(error).__name__}: {error}")
            return Page(HTTPStatus.INTERNAL_SERVER_ERROR, _TEXT, b"see the log of the server\n")

    def log_message(self, *_arguments: Any) -> None:
        """Write nothing to standard error."""
