"""Trusted clients: only they can request DSNs, and only their senders receive them.

Security: a reverse-path can be forged, so a DSN for an untrusted client could be sent to any
address (backscatter). A client is trusted if it has authenticated or is in a network of
`relay_for`. It is also trusted if it connects from this machine, by loopback or a Unix socket, and
not on behalf of another host (PROXY, XCLIENT).
"""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Protocol

from gatepost.model.endpoint import Endpoint
from gatepost.model.session import AuthFacts


class Client(Protocol):
    """The facts that decide: of a session, or of a queued message."""

    @property
    def peer(self) -> Endpoint:
        """The address of the client."""

    @property
    def via(self) -> Endpoint | None:
        """The address of the proxy, None without one."""

    @property
    def xclient(self) -> Mapping[str, str] | None:
        """The attributes of XCLIENT, None without it."""

    @property
    def auth(self) -> AuthFacts | None:
        """The authenticated identity, None without AUTH."""

    @property
    def in_relay_network(self) -> bool:
        """True if the client is in a network of `relay_for` of a route."""


def is_trusted(client: Client) -> bool:
    """Return whether a client has authenticated, may relay, or is on this machine and no proxy."""
    if client.auth is not None or client.in_relay_network:
        return True
    return client.via is None and client.xclient is None and _is_on_this_machine(client.peer)


def _is_on_this_machine(peer: Endpoint) -> bool:
    is_loopback = _loopback(peer.host)
    return peer.port == 0 if is_loopback is None else is_loopback


@lru_cache(maxsize=4096)
def _loopback(host: str) -> bool | None:
    """Return whether an address is a loopback address; None for a Unix socket."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return None
