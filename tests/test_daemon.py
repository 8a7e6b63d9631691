"""tools/daemon.py: the ports of servers that tests start."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tools import daemon

ASK = "from tools import daemon; daemon.PORTS = [{port}]; daemon.free_port()"


def test_a_port_is_given_to_one_process(monkeypatch):
    port = daemon.free_port()
    monkeypatch.setattr(daemon, "PORTS", [port])
    with pytest.raises(RuntimeError, match="none of the ports"):
        daemon.free_port()
    root = Path(__file__).parent.parent
    argv = [sys.executable, "-c", ASK.format(port=port)]
    other = subprocess.run(argv, cwd=root, capture_output=True, text=True, check=False)
    assert "none of the ports" in other.stderr


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_in_use_is_not_given(monkeypatch, kind):
    with socket.socket(socket.AF_INET, kind) as used:
        used.bind((daemon.HOST, 0))
        monkeypatch.setattr(daemon, "PORTS", [used.getsockname()[1]])
        with pytest.raises(RuntimeError, match="none of the ports"):
            daemon.free_port()


def test_a_free_port_can_be_bound_at_once():
    with socket.create_server((daemon.HOST, daemon.free_port())):
        pass
