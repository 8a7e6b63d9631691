"""A route: a target with the settings that the session and the queue need."""

from typing import Literal

import msgspec

from gatepost.delivery.target import Target
from gatepost.model.session import Recipient


class Route(msgspec.Struct, frozen=True, eq=False):
    """The way of some recipients' mail: the target, and the `url` that names it.

    `mode` is as configured: "direct" delivers while the client waits, "queue" by way of the spool.
    With `fallback` a message goes to the spool if a direct target cannot be reached. `relays` is
    whether authenticated clients may use the route for domains that are not local. `name` is that
    by which plugins choose it, "" for none.
    """

    target: Target
    url: str
    mode: Literal["direct", "queue"] = "direct"
    fallback: bool = False
    relays: bool = False
    name: str = ""

    @property
    def spools(self) -> bool:
        """Return whether mail for this route may go into the spool."""
        return self.mode == "queue" or self.fallback

    def destination(self, recipient: Recipient) -> str:
        """Return the name of the recipient's next hop for the queue."""
        return self.target.destination(recipient) or self.url
