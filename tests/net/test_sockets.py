"""Listening sockets: an address in use is refused, a stale socket file is replaced."""

import os
import socket

import pytest

from gatepost.config.listen import UnixAddress
from gatepost.net.sockets import ListenFailedError, bind

ADDRESS = UnixAddress("x.sock")


def reach(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_second_server_on_a_unix_socket_is_refused(tmp_path):
    with bind(ADDRESS, tmp_path) as first:
        with pytest.raises(ListenFailedError, match=r"unix:x\.sock: Address already in use"):
            bind(ADDRESS, tmp_path)
        reach(tmp_path / "x.sock")
        first.accept()[0].close()


def test_socket_of_a_server_that_has_ended_is_replaced(tmp_path):
    bind(ADDRESS, tmp_path).close()
    with bind(ADDRESS, tmp_path):
        reach(tmp_path / "x.sock")


def test_socket_with_a_full_backlog_is_in_use(tmp_path):
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as client:
        busy.bind(str(tmp_path / "x.sock"))
        busy.listen(0)
        client.connect(str(tmp_path / "x.sock"))
        with pytest.raises(ListenFailedError, match="Address already in use"):
            bind(ADDRESS, tmp_path)


def test_datagram_socket_of_another_program_is_in_use(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(tmp_path / "x.sock"))
        with pytest.raises(ListenFailedError, match="Address already in use"):
            bind(ADDRESS, tmp_path)
    assert (tmp_path / "x.sock").exists()


def test_file_that_is_no_socket_is_kept(tmp_path):
    (tmp_path / "x.sock").write_text("mail")
    with pytest.raises(ListenFailedError, match="Address already in use"):
        bind(ADDRESS, tmp_path)
    assert (tmp_path / "x.sock").read_text() == "mail"


def test_link_to_a_socket_in_use_is_in_use(tmp_path):
    (tmp_path / "x.sock").symlink_to("real.sock")
    with (
        bind(UnixAddress("real.sock"), tmp_path),
        pytest.raises(ListenFailedError, match="Address already in use"),
    ):
        bind(ADDRESS, tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can connect to every socket")
def test_socket_that_cannot_be_tried_is_kept(tmp_path):
    bind(ADDRESS, tmp_path).close()
    (tmp_path / "x.sock").chmod(0)
    with pytest.raises(ListenFailedError, match="Permission denied"):
        bind(ADDRESS, tmp_path)
