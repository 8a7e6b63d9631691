"""The recipient of a copy from the queue, for `gatepost queue forward` and the dashboard."""

from gatepost.config.schema import Config
from gatepost.delivery.registry import make_router
from gatepost.model.address import Address
from gatepost.queue.spool.records import encode, recipient_facts
from gatepost.session.destinations import Destinations


def forwarded(config: Config, address: str) -> str:
    """Return the facts of a recipient in JSON.

    Raises `AddressError`, `RouteConfigError`, and ValueError without a route for the address.
    """
    parsed = Address.parse(address)
    router = make_router(config.route, base=config.base, hostname=config.server.hostname)
    places = Destinations(router, config.recipients.subaddress, 1)
    recipient = places.make(parsed, {"NOTIFY": "NEVER"}, "", added=True)
    return encode(recipient_facts(recipient)).decode()
