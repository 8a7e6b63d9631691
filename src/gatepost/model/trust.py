"""Whether somebody vouches for a client: what a sender is told, and may ask for, depends on it.

Security: a reverse-path is whatever the client says, and a notice to a stranger is mail to whom a
spammer likes (backscatter). So a client must have authenticated, or be this machine – by loopback
or a Unix socket – and speak for nobody else (PROXY, XCLIENT).
"""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Protocol

from gatepost.model.endpoint import Endpoint
from gatepost.model.session import AuthFacts


class Client(Protocol):
    """What is known of a client: a session, or what is kept of one."""

    @property
    def peer(self) -> Endpoint:
        """Where it is."""

    @property
    def via(self) -> Endpoint | None:
        """Who spoke for it."""

    @property
    def xclient(self) -> Mapping[str, str] | None:
        """What was said of it."""

    @property
    def auth(self) -> AuthFacts | None:
        """Who it is."""


def is_trusted(client: Client) -> bool:
    """Whether a client has authenticated, or is this machine and speaks for itself."""
    if client.auth is not None:
        return True
    return client.via is None and client.xclient is None and _is_here(client.peer)


def _is_here(peer: Endpoint) -> bool:
    is_loopback = _loopback(peer.host)
    return peer.port == 0 if is_loopback is None else is_loopback


@lru_cache(maxsize=4096)
def _loopback(host: str) -> bool | None:
    """Return whether an address is this machine's; None for the name of a Unix socket."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return None
