"""Sockets that only their owner and root can use."""

import os
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from gatepost.net import private_socket
from gatepost.net.private_socket import connect, is_owner, listen, remove_stale

NOBODY = 65534


def connect_as_another_user(path):
    """Connect in a child process, which keeps the connection until it is closed."""
    pid = os.fork()
    if not pid:  # a child of a test process: it must not run anything else
        try:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            one = socket.socket(socket.AF_UNIX)
            one.connect(str(path))
            one.recv(1)
        finally:
            os._exit(0)
    return pid


def test_a_socket_accepts_its_owner_and_its_file_is_private(tmp_path):
    with listen(tmp_path / "a.sock") as server, connect(tmp_path / "a.sock"):
        accepted, _ = server.accept()
        with accepted:
            assert is_owner(accepted)
    assert (tmp_path / "a.sock").stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["a.sock"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_is_recognised_whatever_the_modes_are():
    with tempfile.TemporaryDirectory(dir="/tmp") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        server = stack.enter_context(listen(folder / "a.sock"))
        (folder / "a.sock").chmod(0o666)
        pid = connect_as_another_user(folder / "a.sock")
        accepted, _ = server.accept()
        with accepted:
            found = is_owner(accepted)
        os.waitpid(pid, 0)
    assert found is False


def test_where_the_kernel_does_not_report_the_user_the_modes_decide(monkeypatch):
    monkeypatch.delattr(private_socket.socket, "SO_PEERCRED")
    one, other = socket.socketpair()
    with one, other:
        assert is_owner(one)


def test_a_path_that_exists_is_not_replaced_by_a_link_of_its_new_name(tmp_path):
    (tmp_path / "a.sock.new").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="Address already in use"):
        listen(tmp_path / "a.sock")
    assert not (tmp_path / "target").exists()


def test_only_sockets_of_ended_processes_are_removed(tmp_path):
    with listen(tmp_path / "live.sock"), socket.socket(socket.AF_UNIX) as full:
        listen(tmp_path / "dead.sock").close()
        full.bind(str(tmp_path / "full.sock"))
        full.listen(0)
        with connect(tmp_path / "full.sock"):
            remove_stale(tmp_path, "*.sock")
        assert {one.name for one in tmp_path.iterdir()} == {"live.sock", "full.sock"}


def test_a_path_without_a_server_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        connect(tmp_path / "a.sock")
