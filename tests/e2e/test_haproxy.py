"""HAProxy in front, in its usual set-up: TCP mode, one server line, either version."""

import contextlib
import smtplib
import socket
import subprocess

import pytest
from tests.e2e.conftest import serving
from tests.e2e.server import PATIENCE, eventually
from tools import peers

CONFIG = """\
global
    maxconn 100

defaults
    mode tcp
    timeout connect 20s
    timeout client 60s
    timeout server 60s

listen smtp
    bind fd@{fd}
    server gate 127.0.0.1:{port} {options}
"""
# A check that waits for the greeting, as HAProxy recommends for mail servers.
CHECKS = """\
    option tcp-check
    tcp-check connect send-proxy
    tcp-check expect string 220
"""
VERSIONS = {
    "v1": "send-proxy",
    "v2": "send-proxy-v2",
    "v2 with values": "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority",
}
TRUSTED = {"listen": 'proxy_from = ["127.0.0.1/32"]'}
USE = '[[plugin]]\nuse = "gate.py"\n'
GATE = '''\
"""Refuse one client."""
from gatepost import Plugin, deny


class Gate(Plugin):
    def on_connect(self, session):
        if session.peer.host == "127.0.0.66":
            return deny("not you", reason="gate")
        if session.via is None:
            return deny("not from a proxy", reason="gate")
        return None
'''
RECORDER = '''\
"""Record the clients that connect."""
from pathlib import Path

from gatepost import Plugin


class Recorder(Plugin):
    def on_connect(self, session):
        with Path(__file__).with_name("checks").open("a") as file:
            file.write(f"{session.peer.host} {session.via.host}\\n")
'''
DIRECT = "127.0.0.99"
MESSAGE = b"Subject: x\r\n\r\ntext\r\n"


class Proxy:
    """A running HAProxy and its port."""

    def __init__(self, process, port):
        self.process, self.port = process, port

    def client(self, host):
        """Connect from an address of the loopback network."""
        return smtplib.SMTP("127.0.0.1", self.port, "client.example", PATIENCE, (host, 0))


@contextlib.contextmanager
def proxying(folder, port, options, extra=""):
    """Run HAProxy in front of a port, with a socket that listens already."""
    command = peers.find("haproxy")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        file = folder / "haproxy.cfg"
        file.write_text(CONFIG.format(fd=listener.fileno(), port=port, options=options) + extra)
        with (folder / "haproxy.log").open("wb") as log:
            process = subprocess.Popen(
                command.argv("-db", "-f", file),
                env=command.env,
                pass_fds=[listener.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            yield Proxy(process, listener.getsockname()[1])
        finally:
            process.kill()
            process.wait(PATIENCE)


@pytest.fixture(scope="module", params=VERSIONS.values(), ids=VERSIONS)
def both(request, tmp_path_factory):
    if not peers.find("haproxy"):
        pytest.skip(peers.missing(["haproxy"])["haproxy"])
    folder = tmp_path_factory.mktemp("haproxy")
    (folder / "gate.py").write_text(GATE)
    with (
        serving(folder, USE, limits="connections_per_ip = 1\nexempt = []", **TRUSTED) as server,
        proxying(folder, server.port, request.param) as proxy,
    ):
        yield server, proxy


def test_the_server_greets_first_and_received_has_the_client(both):
    server, proxy = both
    address = server.address()
    with proxy.client("127.0.0.9") as client:
        client.sendmail("sender@client.example", [address], MESSAGE)
    local, _, domain = address.partition("@")
    (file,) = server.maildir(domain, local).glob("new/*")
    content = file.read_bytes()
    assert b"Received: from client.example ([127.0.0.9])" in content
    assert content.endswith(b"\r\nSubject: x\r\n\r\ntext\r\n")
    eventually(lambda: '"peer":"127.0.0.9:' in (server.folder / "log").read_text())


def test_a_trap_refuses_the_message_behind_the_proxy(both):
    server, proxy = both
    with proxy.client("127.0.0.10") as client, pytest.raises(smtplib.SMTPDataError) as refused:
        client.sendmail("sender@client.example", [server.address(), "trap@open.example"], MESSAGE)
    assert refused.value.smtp_code == 554


def test_the_connect_hook_receives_the_client(both):
    _, proxy = both
    with pytest.raises(smtplib.SMTPConnectError) as refused:
        proxy.client("127.0.0.66")
    assert refused.value.smtp_code == 554
    assert refused.value.smtp_error.startswith(b"5.7.1 not you [")


def test_limits_apply_to_each_client(both):
    _, proxy = both
    with proxy.client("127.0.0.11"), proxy.client("127.0.0.12"):
        with pytest.raises(smtplib.SMTPConnectError) as refused:
            proxy.client("127.0.0.11")
        assert refused.value.smtp_code == 421


def test_a_client_that_bypasses_the_proxy_is_not_trusted(both):
    server, _ = both
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE, (DIRECT, 0)) as sock:
        sock.sendall(b"PROXY TCP4 127.0.0.13 127.0.0.1 5 25\r\n")
        reply = sock.makefile("rb").readline()
    assert reply.startswith(b"554 5.7.1 not from a proxy [")
    log = server.folder / "log"
    eventually(lambda: f'"peer":"{DIRECT}:' in log.read_text())
    assert '"peer":"127.0.0.13:' not in log.read_text()


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
def test_health_checks_log_no_warning(tmp_path, version):
    if not peers.find("haproxy"):
        pytest.skip(peers.missing(["haproxy"])["haproxy"])
    (tmp_path / "gate.py").write_text(RECORDER)
    checks = tmp_path / "checks"
    options, extra = f"{version} check inter 50ms", CHECKS
    with (
        serving(tmp_path, USE, **TRUSTED) as server,
        proxying(tmp_path, server.port, options, extra) as proxy,
    ):
        seen = eventually(lambda: checks.exists() and checks.read_text().splitlines()[2:])
        assert set(seen) == {"127.0.0.1 127.0.0.1"}
        with proxy.client("127.0.0.9") as client:
            assert client.noop()[0] == 250
    lines = (tmp_path / "log").read_text().splitlines()
    log = [one for one in lines if "running as root" not in one]  # the test may be root
    assert not [one for one in log if '"warning"' in one or '"error"' in one], log
