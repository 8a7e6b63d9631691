"""The routes of queued mail: those of the configuration, and for DSNs only some of them.

Security: a DSN goes to the domain of a sender, which may be any domain. A route for all recipients
(`*`) is for local domains only, unless it relays: a Maildir route would otherwise store mail for
domains of other organisations. The rule holds for each attempt, because the configuration may have
changed since the DSN was queued.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from gatepost.delivery.route import Route
from gatepost.delivery.routes import Router
from gatepost.model.endpoint import Endpoint
from gatepost.model.session import Recipient
from gatepost.queue.spool.records import DeliveryJob, MessageFacts, QueuedRecipient

# The peer of a DSN.
HERE = Endpoint("local")


class RoutedRecipient(NamedTuple):
    """A recipient of a job with its current route, None without one."""

    queued: QueuedRecipient
    route: Route | None


# By the recipients as targets need them.
Routed: TypeAlias = Mapping[Recipient, RoutedRecipient]


class QueueRouter:
    """Chooses routes of `router`; `is_local` recognises local domains."""

    def __init__(self, router: Router, is_local: Callable[[str], bool]) -> None:
        self._router = router
        self._is_local = is_local

    def route(self, facts: MessageFacts, recipient: Recipient) -> Route | None:
        """Return the route of a recipient of a message, None without one."""
        if not facts.reverse_path and facts.peer == HERE:
            return self.route_to_sender(recipient)
        return self._router.route(recipient)

    def routed(self, job: DeliveryJob) -> Routed:
        """Return the recipients of a job with their current routes."""
        recipients = {one.recipient(): one for one in job.recipients}
        return {
            one: RoutedRecipient(queued, self.route(job.facts, one))
            for one, queued in recipients.items()
        }

    def route_to_sender(self, sender: Recipient) -> Route | None:
        """Return the route of a DSN, None if no route is for the sender's domain."""
        route = self._router.route(sender)
        if route is None or route.relays or self._is_local(sender.domain):
            return route
        return route if self._router.has_pattern_for(sender) else None

    def destination(self, facts: MessageFacts, recipient: Recipient) -> str:
        """Return the name of a recipient's destination, "" without a route."""
        return destination_of(self.route(facts, recipient), recipient)


def destination_of(route: Route | None, recipient: Recipient) -> str:
    """Return the name of the destination of a recipient by its route, "" without a route."""
    return "" if route is None else route.destination(recipient)
