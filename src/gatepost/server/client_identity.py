"""The client of a connection: by its socket, or named by a host in front."""

import asyncio
from typing import Any

from gatepost.model.endpoint import Endpoint
from gatepost.model.proxy import ProxyHeader
from gatepost.model.session import Input, Session
from gatepost.net.networks import Networks, is_within


class ClientIdentity:
    """`peer` is the client, `local` the address it connected to, `via` the proxy between, if any.

    XCLIENT is accepted from `xclient_from`; see `may_name`.
    """

    __slots__ = ("local", "peer", "proxy", "via", "xclient_from")

    def __init__(
        self,
        peer: Endpoint,
        local: Endpoint,
        xclient_from: Networks = (),
        via: Endpoint | None = None,
        proxy: ProxyHeader | None = None,
    ) -> None:
        self.peer = peer
        self.local = local
        self.xclient_from = xclient_from
        self.via = via
        self.proxy = proxy

    @property
    def may_name(self) -> bool:
        """Return whether the client may name another client with XCLIENT."""
        return self.is_within(self.xclient_from)

    def is_within(self, networks: Networks) -> bool:
        """Return whether the client is in one of the networks.

        A proxy whose header names no client does not lend its own address for that.
        """
        anonymous = self.proxy is not None and self.proxy.source is None and not self.proxy.local
        return not anonymous and is_within(self.peer.host, networks)


def of_socket(transport: asyncio.BaseTransport, local: Endpoint | None) -> ClientIdentity:
    """Return the identity of the socket's client; `local` is the listener's address if fixed."""
    peer = endpoint(transport.get_extra_info("peername"))
    return ClientIdentity(peer, local or endpoint(transport.get_extra_info("sockname")))


def new_session(
    reference: str,
    identity: ClientIdentity,
    started: float,
    protocol: str,
    listener: str = "",
    *,
    received: Input | None = None,
) -> Session:
    """Return the session of a client that has just connected; `received` is what it sends."""
    return Session(
        reference,
        identity.peer,
        identity.local,
        started,
        via=identity.via,
        proxy=identity.proxy,
        protocol=protocol,
        listener=listener,
        input=received,
    )


def endpoint(name: Any) -> Endpoint:
    """Return a socket's name as an endpoint; IPv4 that arrived on an IPv6 socket is IPv4."""
    if isinstance(name, tuple):
        return Endpoint(name[0].removeprefix("::ffff:") if "." in name[0] else name[0], name[1])
    return Endpoint(name or "local")
