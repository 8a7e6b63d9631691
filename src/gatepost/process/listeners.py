"""The listening sockets of all workers. Each stays open while its address is configured.

Connections wait in a socket's backlog, not in a process. So the supervisor owns every socket, and
each worker gets copies. When a worker crashes, is replaced or retires in a reload, the socket stays
open, no connection is refused, and the next worker accepts from it.

A TCP address has one socket for each worker (SO_REUSEPORT), and the kernel spreads connections over
them. With fewer workers than sockets, a worker takes several, because closing a socket would lose
the connections in its backlog. With fewer sockets than workers, workers share them. That is the
case for Unix sockets, for inherited sockets, and for ports that cannot be bound again after
privileges were dropped.

A protocol of ONE_WORKER has its listeners in the first worker only. The address of the dashboard
has one socket, which no worker gets.
"""

import socket
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from gatepost.config.listen import InetAddress, ListenAddress, parse_listen_address
from gatepost.config.schema import Config
from gatepost.net.sockets import ListenFailedError, bind, bound_address, probe

# A mail server may ask about one transaction on several connections: one process must get all.
ONE_WORKER = frozenset({"policy"})


class Listener(msgspec.Struct, frozen=True, eq=False):
    """An address and its sockets."""

    protocol: str
    sockets: list[socket.socket]

    @property
    def address(self) -> str:
        """Return the bound address, with the real port."""
        return bound_address(self.sockets[0])

    def sockets_of(self, worker: int, count: int) -> list[socket.socket]:
        """Return the sockets of one of `count` workers, which are numbered from 0."""
        if self.protocol in ONE_WORKER:
            return [] if worker else self.sockets
        own = self.sockets[worker::count]
        return own or [self.sockets[worker % len(self.sockets)]]


# The base folder, the address, and the number among listeners with exactly this address.
_Key = tuple[Path, ListenAddress, int]


class Listeners:
    """All open sockets, by their address in the configuration."""

    def __init__(self) -> None:
        self._open: dict[_Key, list[socket.socket]] = {}

    def open(self, config: Config, workers: int) -> list[Listener]:
        """Return the listeners of a configuration; bind the addresses that are not open yet.

        Raises `ListenFailedError`, and then closes only what it has opened.
        """
        keys = _keys(config)
        added: list[_Key] = []
        try:
            for key in [*keys, *_web_keys(config)]:
                if key not in self._open:
                    self._open[key] = _bind(key[1], config.base)
                    added.append(key)
        except ListenFailedError:
            self._close(added)
            raise
        for one, key in zip(config.listen, keys, strict=True):
            if one.protocol not in ONE_WORKER:
                _bind_for_each_worker(self._open[key], key[1], config.base, workers)
        return [
            Listener(one.protocol, self._open[key])
            for one, key in zip(config.listen, keys, strict=True)
        ]

    def web(self, config: Config) -> Listener | None:
        """Return the listener of the dashboard, which `open` has opened; None without one."""
        found = [Listener("web", self._open[key]) for key in _web_keys(config)]
        return found[0] if found else None

    def close_unused(self, configs: Sequence[Config]) -> None:
        """Close the sockets that are in none of these configurations."""
        used = {key for config in configs for key in [*_keys(config), *_web_keys(config)]}
        self._close([key for key in self._open if key not in used])

    def _close(self, keys: Sequence[_Key]) -> None:
        for key in keys:
            for sock in self._open.pop(key):
                sock.close()


def _keys(config: Config) -> list[_Key]:
    seen: Counter[ListenAddress] = Counter()
    keys = []
    for one in config.listen:
        keys.append((config.base, one.address, seen[one.address]))
        seen[one.address] += 1
    return keys


def _web_keys(config: Config) -> list[_Key]:
    """Return the key of the dashboard's address, if it has one; no other listener shares it."""
    if not config.web.listen:
        return []
    return [(config.base, parse_listen_address(config.web.listen), -1)]


def _bind(address: ListenAddress, base: Path) -> list[socket.socket]:
    """Bind the first socket of an address.

    With SO_REUSEPORT, a second Gatepost on the same address would not be detected and would get
    half of the mail. So the address is first bound without it.
    """
    if isinstance(address, InetAddress) and address.port:
        probe(address)
    return [bind(address, base, shared=True)]


def _bind_for_each_worker(
    sockets: list[socket.socket], address: ListenAddress, base: Path, workers: int
) -> None:
    """Bind more sockets to a TCP address until each worker has one, if that is possible."""
    if not isinstance(address, InetAddress):
        return
    bound = InetAddress(address.host, sockets[0].getsockname()[1])
    with suppress(ListenFailedError):
        while len(sockets) < workers:
            sockets.append(bind(bound, base, shared=True))
