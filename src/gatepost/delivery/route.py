"""A route: a target with the settings that the session and the queue need."""

from typing import Literal

import msgspec

from gatepost.config.relay import RelayFor
from gatepost.delivery.target import Target
from gatepost.model.session import Recipient, Session
from gatepost.net.networks import is_within


class Route(msgspec.Struct, frozen=True, eq=False):
    """The way of some recipients' mail: the target, and the `url` that names it.

    `mode` is as configured: "direct" delivers while the client waits, "queue" by way of the spool.
    With `fallback` a message goes to the spool if a direct target cannot be reached. `relay_for`
    has the clients that may use the route for domains that are not local. `name` is that by which
    plugins choose it, "" for none.
    """

    target: Target
    url: str
    mode: Literal["direct", "queue"] = "direct"
    fallback: bool = False
    relay_for: RelayFor = RelayFor()
    name: str = ""

    @property
    def relays(self) -> bool:
        """Return whether any client may use the route for domains that are not local."""
        return bool(self.relay_for)

    def relays_for(self, session: Session) -> bool:
        """Return whether a client may use the route for domains that are not local."""
        if session.auth is not None and self.relay_for.authenticated:
            return True
        return session.in_relay_network and is_within(session.peer.host, self.relay_for.networks)

    @property
    def spools(self) -> bool:
        """Return whether mail for this route may go into the spool."""
        return self.mode == "queue" or self.fallback

    def destination(self, recipient: Recipient) -> str:
        """Return the name of the recipient's next hop for the queue."""
        return self.target.destination(recipient) or self.url
