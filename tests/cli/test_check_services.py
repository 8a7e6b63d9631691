"""`gatepost check`: the scanners of the configuration, and their versions."""

import socketserver
import threading
from contextlib import contextmanager

import pytest

from gatepost.checks import services

RSPAMD = b"HTTP/1.1 200 OK\r\nServer: rspamd/3.8.4\r\nContent-Length: 6\r\n\r\npong\r\n"


@contextmanager
def service(path, answer):
    """Serve a Unix socket: each client gets the answer to what it sends; None for no answer."""
    ended = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(1000)
            if answer is None:
                ended.wait()
            else:
                self.request.sendall(answer)

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            ended.set()
            server.shutdown()


@pytest.fixture
def check(configure, run, tmp_path):
    """Check a configuration with a scanner; return what was printed."""

    def check(plugin):
        configure(f'[[plugin]]\nuse = "{plugin}"\noptions = {{ server = "unix:{tmp_path}/s" }}')
        result = run("check")
        assert result.exit_code == 0
        return result.stdout + result.stderr

    return check


@pytest.mark.parametrize(
    ("plugin", "answer", "shown"),
    [
        ("clamav", b"ClamAV 1.4.3/27500/Mon Jan  1\0", "ClamAV 1.4.3/27500/Mon Jan 1"),
        ("spamassassin", b"SPAMD/1.5 0 PONG\r\n", "SPAMD/1.5 0 PONG"),
        ("rspamd", RSPAMD, "rspamd/3.8.4"),
        ("clamav", b"\x1b[2J\n" + b"x" * 500 + b"\0", "\\x1b[2J xxx"),
    ],
)
def test_the_version_of_a_scanner_is_in_the_summary(check, tmp_path, plugin, answer, shown):
    if plugin == "rspamd":
        pytest.importorskip("aiohttp")
    with service(tmp_path / "s", answer):
        printed = check(plugin)
    assert shown in printed
    assert "\x1b[2J" not in printed


@pytest.mark.parametrize(
    ("plugin", "answer", "problem"),
    [
        ("clamav", b"", "closed without a response"),
        ("spamassassin", b"nonsense", "expected PONG"),
        ("rspamd", RSPAMD.replace(b"200", b"500"), "found 500"),
    ],
)
def test_another_answer_is_a_warning(check, tmp_path, plugin, answer, problem):
    with service(tmp_path / "s", answer):
        printed = " ".join(check(plugin).split())
    assert f"plugin {plugin}: " in printed
    assert problem in printed


def test_a_scanner_that_hangs_is_a_warning(check, tmp_path, monkeypatch):
    monkeypatch.setattr(services, "TIMEOUT", 0.2)
    with service(tmp_path / "s", None):
        assert "no answer within 0.2 s" in check("clamav")


def test_a_scanner_that_is_away_is_a_warning(check, tmp_path):
    printed = " ".join(check("clamav").split())
    assert f"plugin clamav: unix:{tmp_path}/s: [Errno 2] No such file or directory" in printed
