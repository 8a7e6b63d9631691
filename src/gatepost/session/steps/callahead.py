"""Call-ahead: asks a recipient's next hop at RCPT, so that no bounce is needed later.

The client gets the next hop's refusal. If the next hop cannot be reached, or refuses only
temporarily, the recipient is accepted; the delivery decides.
"""

from collections.abc import Awaitable

from gatepost.delivery.routes import Router
from gatepost.delivery.target import Target
from gatepost.model.decision import Decision, Verdict
from gatepost.model.session import Recipient, Transaction
from gatepost.net.inline import need_task
from gatepost.plugin.chain import Answer

NEXT_HOP = "next hop"


def uses_call_ahead(router: Router) -> bool:
    """Return whether the next hop of any route can be asked."""
    return any(route.target.can_verify for route in router.routes)


def call_ahead(router: Router, tx: Transaction, rcpt: Recipient) -> Awaitable[Answer | None] | None:
    """Return the pending answer of a recipient's next hop; None if it cannot be asked."""
    route = router.route(rcpt)
    if route is None or not route.target.can_verify:
        return None
    return _ask(route.target, tx, rcpt)


async def _ask(target: Target, tx: Transaction, rcpt: Recipient) -> Answer | None:
    await need_task()
    reply = await target.verify(tx, rcpt)
    if reply is None:
        return None
    decision = Decision(Verdict.DENY, reply.text, reply.code, reply.enhanced, "next-hop-refuses")
    return Answer(decision, NEXT_HOP)
