"""Who a connection is from, where that takes more than to look at its socket."""

from typing import NamedTuple

from gatepost.model.endpoint import Endpoint
from gatepost.model.proxy import ProxyHeader
from gatepost.server.networks import Networks, is_within


class ClientIdentity(NamedTuple):
    """`peer` is the client, `local` the address it came to, `via` the proxy between, if any.

    XCLIENT is believed from `xclient_from`; see `may_name`.
    """

    peer: Endpoint
    local: Endpoint
    xclient_from: Networks = ()
    via: Endpoint | None = None
    proxy: ProxyHeader | None = None

    @property
    def may_name(self) -> bool:
        """Whether the client may say that it is another.

        A proxy that does not know the client does not lend it its own address for that.
        """
        anonymous = self.proxy is not None and self.proxy.source is None and not self.proxy.local
        return not anonymous and is_within(self.peer.host, self.xclient_from)
