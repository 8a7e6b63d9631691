"""Quotas that contradict each other, or that are too small for a message.

Limits: two routes have the same Maildirs only if they are written in the same way.
"""

from collections.abc import Iterator

from gatepost.config.schema import Config, RouteConfig
from gatepost.session.assemble import Lists
from gatepost.session.setup import Setup


def quotas(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of quotas that do not have the expected effect."""
    first: dict[str, int] = {}
    for number, route in enumerate(config.route):
        if not route.to.startswith("maildir:"):
            continue
        earlier = first.setdefault(route.to, number)
        if _quota(route) != _quota(config.route[earlier]):
            yield (
                f"route[{number}].maildir: expected the same quota as route[{earlier}], which has"
                " the same Maildirs"
            )
        if 0 < route.maildir.quota < config.limits.message_size:
            yield (
                f"route[{number}].maildir.quota is smaller than limits.message_size: a message"
                " that fits into no mailbox is refused only after its content was received"
            )


def _quota(route: RouteConfig) -> tuple[int, int]:
    return route.maildir.quota, route.maildir.quota_messages
