"""The listening sockets of all workers: bound once, kept while their address is configured.

Connections wait in a socket's backlog, not in a process. So the supervisor holds every socket, and
a worker gets copies: whether a worker crashes, is replaced, or retires in a reload, no connection
is refused, for the socket stays open and the next worker accepts from it.

A TCP address has one socket for each worker (SO_REUSEPORT), among which the kernel spreads
connections. Where workers are fewer than sockets, one takes several: a socket closed would lose
what waits in it. Where sockets are fewer – Unix sockets, inherited ones, and ports that may not be
bound again after privileges were dropped – workers share them.
"""

import socket
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from gatepost.config.listen import InetAddress, ListenAddress
from gatepost.config.schema import Config
from gatepost.net.sockets import ListenFailedError, bind, bound_address, probe


class Listener(msgspec.Struct, frozen=True, eq=False):
    """An address and its sockets."""

    protocol: str
    sockets: list[socket.socket]

    @property
    def address(self) -> str:
        """Where it listens, with the port it really got."""
        return bound_address(self.sockets[0])

    def share(self, number: int, of: int) -> list[socket.socket]:
        """Return the sockets of one worker of so many, counted from 0."""
        own = self.sockets[number::of]
        return own or [self.sockets[number % len(self.sockets)]]


# The base folder, the address, and which of several listeners with that very address.
_Key = tuple[Path, ListenAddress, int]


class Sockets:
    """All sockets that are open, by their address in the configuration."""

    def __init__(self) -> None:
        self._open: dict[_Key, list[socket.socket]] = {}

    def listen(self, config: Config, workers: int) -> list[Listener]:
        """Return the listeners of a configuration; binds those that are not open yet.

        Raises `ListenFailedError`, and then leaves everything as it was.
        """
        keys = _keys(config)
        added: list[_Key] = []
        try:
            for key in keys:
                if key not in self._open:
                    self._open[key] = _bind(key[1], config.base)
                    added.append(key)
        except ListenFailedError:
            self._close(added)
            raise
        for key in keys:
            _widen(self._open[key], key[1], config.base, workers)
        return [
            Listener(one.protocol, self._open[key])
            for one, key in zip(config.listen, keys, strict=True)
        ]

    def keep(self, configs: Sequence[Config]) -> None:
        """Close the sockets that none of these configurations has."""
        wanted = {key for config in configs for key in _keys(config)}
        self._close([key for key in self._open if key not in wanted])

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


def _bind(address: ListenAddress, base: Path) -> list[socket.socket]:
    """Bind the first socket of an address.

    With SO_REUSEPORT another server of ours that has the same address would not be noticed, and get
    half of the mail. So the address is first bound without it.
    """
    if isinstance(address, InetAddress) and address.port:
        probe(address)
    return [bind(address, base, shared=True)]


def _widen(sockets: list[socket.socket], address: ListenAddress, base: Path, workers: int) -> None:
    """Bind more sockets to an address until every worker has one, as far as that is possible."""
    if not isinstance(address, InetAddress):
        return
    real = InetAddress(address.host, sockets[0].getsockname()[1])
    with suppress(ListenFailedError):
        while len(sockets) < workers:
            sockets.append(bind(real, base, shared=True))
