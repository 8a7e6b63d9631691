"""Listening sockets, which are bound once and shared with workers."""

import socket

import pytest

from gatepost.config.listen import InetAddress, InheritedSocket, UnixAddress
from gatepost.config.schema import Config, ListenConfig
from gatepost.net.sockets import ListenFailedError
from gatepost.process.listeners import Listener, Listeners

ANY = InetAddress("127.0.0.1", 0)


@pytest.fixture
def listeners():
    opened = Listeners()
    yield opened
    opened.close_unused(())


def at(*addresses, base):
    return Config(listen=[ListenConfig(address=one) for one in addresses], base=base)


def test_each_worker_has_a_socket_on_the_same_port(listeners, tmp_path):
    (listener,) = listeners.open(at(ANY, base=tmp_path), 3)
    assert len({sock.getsockname() for sock in listener.sockets}) == 1
    assert len(listener.sockets) == 3
    assert listener.address.startswith("127.0.0.1:")


def test_two_listeners_on_port_0_have_different_ports(listeners, tmp_path):
    first, second = listeners.open(at(ANY, ANY, base=tmp_path), 1)
    assert first.address != second.address


def test_open_sockets_are_used_again(listeners, tmp_path):
    (old,) = listeners.open(at(ANY, base=tmp_path), 2)
    (new,) = listeners.open(at(ANY, base=tmp_path), 3)
    assert new.sockets[:2] == old.sockets[:2]
    (fewer,) = listeners.open(at(ANY, base=tmp_path), 1)
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
    assert [listener.sockets_of(number, workers) for number in range(workers)] == expected


def test_a_mail_server_that_asks_on_several_connections_reaches_one_worker(listeners, tmp_path):
    config = Config(listen=[ListenConfig(address=ANY, protocol="policy")], base=tmp_path)
    (listener,) = listeners.open(config, 3)
    assert [len(listener.sockets_of(worker, 3)) for worker in range(3)] == [1, 0, 0]


def test_a_unix_or_inherited_address_has_one_socket(listeners, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as given:
        config = at(UnixAddress("socket"), InheritedSocket(given.fileno()), base=tmp_path)
        unix, inherited = listeners.open(config, 4)
        assert inherited.sockets[0].getsockname() == given.getsockname()
    assert unix.address == f"unix:{tmp_path}/socket"
    assert [len(unix.sockets), len(inherited.sockets)] == [1, 1]


def test_a_failure_keeps_the_open_sockets(listeners, tmp_path):
    (old,) = listeners.open(at(ANY, base=tmp_path), 1)
    gone = UnixAddress("missing/socket")
    fresh = InetAddress("127.0.0.2", 0)
    with pytest.raises(ListenFailedError):
        listeners.open(at(ANY, fresh, gone, base=tmp_path), 1)
    assert old.sockets[0].fileno() >= 0


def test_unused_sockets_are_closed(listeners, tmp_path):
    config = at(ANY, UnixAddress("socket"), base=tmp_path)
    tcp, unix = listeners.open(config, 1)
    listeners.close_unused([at(ANY, base=tmp_path)])
    assert tcp.sockets[0].fileno() >= 0
    assert unix.sockets[0].fileno() == -1


def test_the_port_of_another_server_is_refused(listeners, tmp_path):
    other = Listeners()
    (listener,) = other.open(at(ANY, base=tmp_path), 1)
    address = InetAddress("127.0.0.1", listener.sockets[0].getsockname()[1])
    with pytest.raises(ListenFailedError, match="Address already in use"):
        listeners.open(at(address, base=tmp_path), 1)
    other.close_unused(())
    listeners.open(at(address, base=tmp_path), 1)


def test_the_unix_socket_of_another_server_is_refused(listeners, tmp_path):
    config = at(UnixAddress("socket"), base=tmp_path)
    other = Listeners()
    other.open(config, 1)
    with pytest.raises(ListenFailedError, match="Address already in use"):
        listeners.open(config, 1)
    other.close_unused(())
    listeners.open(config, 1)


def test_a_unix_socket_cannot_be_configured_twice(listeners, tmp_path):
    with pytest.raises(ListenFailedError, match="Address already in use"):
        listeners.open(at(UnixAddress("socket"), UnixAddress("socket"), base=tmp_path), 1)
