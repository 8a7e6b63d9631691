"""The client of a connection: by its socket, or named by a host in front."""

from typing import Any, NamedTuple

from gatepost.model.proxy import ProxyHeader
from gatepost.model.session import Endpoint
from gatepost.server.networks import Networks, is_within


class ClientIdentity(NamedTuple):
    """`peer` is the client, `local` the address it connected to, `via` the proxy between, if any.

    XCLIENT is accepted from `xclient_from`; see `may_name`.
    """

    peer: Endpoint
    local: Endpoint
    xclient_from: Networks = ()
    via: Endpoint | None = None
    proxy: ProxyHeader | None = None

    @property
    def may_name(self) -> bool:
        """Return whether the client may name another client with XCLIENT.

        A proxy whose header names no client does not lend its own address for that.
        """
        anonymous = self.proxy is not None and self.proxy.source is None and not self.proxy.local
        return not anonymous and is_within(self.peer.host, self.xclient_from)


def endpoint(name: Any) -> Endpoint:
    """Return a socket's name as an endpoint; IPv4 that arrived on an IPv6 socket is IPv4."""
    if isinstance(name, tuple):
        return Endpoint(name[0].removeprefix("::ffff:") if "." in name[0] else name[0], name[1])
    return Endpoint(name or "local")
