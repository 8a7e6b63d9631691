"""Who is told what became of a message: only senders that somebody vouches for.

A notice to anybody else is backscatter, see `gatepost.model.trust`. The null reverse-path is
never told anything (RFC 5321 section 4.5.5).

RFC 3461: a recipient's NOTIFY says of what the sender wants to be told. Of a success nobody is told
who has not asked for it, nor where the next hop has taken that on itself (section 5.2.2).
"""

from collections.abc import Mapping

from gatepost.delivery.route import Route
from gatepost.delivery.target import Delivery, Failures
from gatepost.model.session import Recipient
from gatepost.model.trust import is_trusted
from gatepost.queue.dsn.report import Action
from gatepost.queue.spool.records import MessageFacts

# Recipients whose mail has left us, of whom the sender wants to be told, with what came of it.
SuccessDsn = Mapping[Recipient, Action]

_NONE: SuccessDsn = {}

# RFC 3461 s4.1: what NOTIFY calls it.
EVENTS: dict[Action, str] = {
    "failed": "FAILURE",
    "delayed": "DELAY",
    "delivered": "SUCCESS",
    "relayed": "SUCCESS",
}


def may_be_told(facts: MessageFacts) -> bool:
    """Whether the sender of a message may have notices."""
    return bool(facts.reverse_path) and is_trusted(facts)


def wants(params: Mapping[str, str], action: Action) -> bool:
    """Whether a sender wants to be told of this, as the recipient's parameter NOTIFY says it."""
    notify = params.get("NOTIFY", "FAILURE,DELAY")
    return EVENTS[action] in notify.upper().split(",")


def successes(route: Route, delivery: Delivery, failures: Failures) -> SuccessDsn:
    """Return of whom the sender wants to be told after a delivery, and by us."""
    asked = [one for one in delivery.recipients if one.params and wants(one.params, "delivered")]
    if not asked:
        return _NONE
    action: Action = "delivered" if route.target.final_delivery else "relayed"
    done = failures.keys() | delivery.dsn_delegated
    return {one: action for one in asked if one not in done}
