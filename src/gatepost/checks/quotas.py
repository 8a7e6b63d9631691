"""Quotas that contradict each other, or what the server takes.

Limits: routes are taken for those to the same Maildirs where they are written alike.
"""

from collections.abc import Iterator

from gatepost.config.schema import Config, RouteConfig
from gatepost.session.assemble import Lists
from gatepost.session.setup import Setup


def quotas(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of quotas that would not work as they are meant."""
    first: dict[str, int] = {}
    for number, route in enumerate(config.route):
        if not route.to.startswith("maildir:"):
            continue
        earlier = first.setdefault(route.to, number)
        if _quota(route) != _quota(config.route[earlier]):
            yield (
                f"route[{number}].maildir: expected the quota that route[{earlier}] has for the"
                " same Maildirs"
            )
        if 0 < route.maildir.quota < config.limits.message_size:
            yield (
                f"route[{number}].maildir.quota is below limits.message_size: what fits into no"
                " mailbox is refused only when it has come in"
            )


def _quota(route: RouteConfig) -> tuple[int, int]:
    return route.maildir.quota, route.maildir.quota_messages
