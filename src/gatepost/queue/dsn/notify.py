"""The senders that get delivery status notifications: trusted clients only.

A DSN to any other sender is backscatter, see `gatepost.model.trust`. The null reverse-path never
gets a DSN (RFC 5321 section 4.5.5).

RFC 3461: NOTIFY of a recipient selects the events that are reported. A success is reported only if
the sender requested it, and not if the next hop has accepted that duty (section 5.2.2).
"""

from collections.abc import Mapping
from typing import Final, Literal

from gatepost.delivery.route import Route
from gatepost.delivery.target import Delivery, Failures
from gatepost.model.session import Recipient
from gatepost.model.trust import is_trusted
from gatepost.queue.spool.records import MessageFacts

Action = Literal["failed", "delayed", "delivered", "relayed"]

# Delivered recipients for which the sender requested a success DSN, with the action to report.
SuccessActions = Mapping[Recipient, Action]

_NONE: Final[SuccessActions] = {}

# RFC 3461 s4.1: the NOTIFY keyword of each action.
KEYWORDS: Final[dict[Action, str]] = {
    "failed": "FAILURE",
    "delayed": "DELAY",
    "delivered": "SUCCESS",
    "relayed": "SUCCESS",
}


def may_notify(facts: MessageFacts) -> bool:
    """Return whether the sender of a message may get DSNs."""
    return bool(facts.reverse_path) and is_trusted(facts)


def is_requested(params: Mapping[str, str], action: Action) -> bool:
    """Return whether the NOTIFY parameter of a recipient requests a DSN about this action."""
    notify = params.get("NOTIFY", "FAILURE,DELAY")
    return KEYWORDS[action] in notify.upper().split(",")


def success_actions(route: Route, delivery: Delivery, failures: Failures) -> SuccessActions:
    """Return the successes of a delivery that this server has to report."""
    requested = [
        one for one in delivery.recipients if one.params and is_requested(one.params, "delivered")
    ]
    if not requested:
        return _NONE
    action: Action = "delivered" if route.target.final_delivery else "relayed"
    done = failures.keys() | delivery.dsn_delegated
    return {one: action for one in requested if one not in done}
