"""The recipients that this server can deliver to, for plugins that change recipients.

A recipient must have a route. It need not be among `recipients.known`, nor in a local domain: a
plugin decides that as an administrator would.
"""

from gatepost.delivery.routes import Router
from gatepost.model.actions import TIMES
from gatepost.model.address import Address, domain_key, local_key, without_tag
from gatepost.model.session import Recipient


class Destinations:
    """Makes recipients with a route of `router`; `most` is the limit for each message."""

    __slots__ = ("_router", "_subaddress", "most")

    def __init__(self, router: Router, subaddress: str, limit: int) -> None:
        self._router = router
        self._subaddress = subaddress
        self.most = TIMES * limit

    def make(
        self, address: Address, params: dict[str, str], route: str, *, added: bool
    ) -> Recipient:
        """Return a recipient; raise ValueError if there is no such route, or none for it."""
        local, domain = local_key(address.local), domain_key(address.domain)
        user = without_tag(local, self._subaddress)
        rcpt = Recipient(address, params, user, domain, None, route, added)
        if route:
            self._router.check_name(route)
        if self._router.route(rcpt) is None:
            raise ValueError(f"no route for {address}")
        return rcpt
