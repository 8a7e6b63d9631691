"""Sockets that are bound once and handed to workers."""

import socket

import pytest

from gatepost.config.listen import InetAddress, InheritedSocket, UnixAddress
from gatepost.config.schema import Config, ListenConfig
from gatepost.net.sockets import ListenFailedError
from gatepost.process.listeners import Listener, Sockets

ANY = InetAddress("127.0.0.1", 0)


@pytest.fixture
def sockets():
    made = Sockets()
    yield made
    made.keep(())


def at(*addresses, base):
    return Config(listen=[ListenConfig(address=one) for one in addresses], base=base)


def test_each_worker_has_a_socket_on_the_same_port(sockets, tmp_path):
    (listener,) = sockets.listen(at(ANY, base=tmp_path), 3)
    assert len({sock.getsockname() for sock in listener.sockets}) == 1
    assert len(listener.sockets) == 3
    assert listener.address.startswith("127.0.0.1:")


def test_two_listeners_on_any_port_are_two(sockets, tmp_path):
    first, second = sockets.listen(at(ANY, ANY, base=tmp_path), 1)
    assert first.address != second.address


def test_what_is_open_stays_open(sockets, tmp_path):
    (old,) = sockets.listen(at(ANY, base=tmp_path), 2)
    (new,) = sockets.listen(at(ANY, base=tmp_path), 3)
    assert new.sockets[:2] == old.sockets[:2]
    (fewer,) = sockets.listen(at(ANY, base=tmp_path), 1)
    assert len(fewer.sockets) == 3


@pytest.mark.parametrize(
    ("have", "workers", "expected"),
    [
        (2, 2, [["0"], ["1"]]),
        (3, 2, [["0", "2"], ["1"]]),
        (2, 3, [["0"], ["1"], ["0"]]),
        (1, 2, [["0"], ["0"]]),
    ],
)
def test_every_socket_has_a_worker_and_every_worker_a_socket(have, workers, expected):
    listener = Listener("smtp", [str(number) for number in range(have)])
    assert [listener.share(number, workers) for number in range(workers)] == expected


def test_unix_and_inherited_sockets_are_one(sockets, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as given:
        config = at(UnixAddress("socket"), InheritedSocket(given.fileno()), base=tmp_path)
        unix, inherited = sockets.listen(config, 4)
        assert inherited.sockets[0].getsockname() == given.getsockname()
    assert unix.address == f"unix:{tmp_path}/socket"
    assert [len(unix.sockets), len(inherited.sockets)] == [1, 1]


def test_a_failure_leaves_what_was_there(sockets, tmp_path):
    (old,) = sockets.listen(at(ANY, base=tmp_path), 1)
    gone = UnixAddress("nowhere/socket")
    fresh = InetAddress("127.0.0.2", 0)
    with pytest.raises(ListenFailedError):
        sockets.listen(at(ANY, fresh, gone, base=tmp_path), 1)
    assert old.sockets[0].fileno() >= 0


def test_what_nobody_wants_is_closed(sockets, tmp_path):
    config = at(ANY, UnixAddress("socket"), base=tmp_path)
    tcp, unix = sockets.listen(config, 1)
    sockets.keep([at(ANY, base=tmp_path)])
    assert tcp.sockets[0].fileno() >= 0
    assert unix.sockets[0].fileno() == -1


def test_a_port_that_another_would_share_is_taken(sockets, tmp_path):
    other = Sockets()
    (listener,) = other.listen(at(ANY, base=tmp_path), 1)
    address = InetAddress("127.0.0.1", listener.sockets[0].getsockname()[1])
    with pytest.raises(ListenFailedError, match="Address already in use"):
        sockets.listen(at(address, base=tmp_path), 1)
    other.keep(())
    sockets.listen(at(address, base=tmp_path), 1)
