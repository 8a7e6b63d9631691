"""Call-ahead: asks a recipient's next hop at RCPT, so that no bounce is needed later.

The client gets the next hop's refusal. If the next hop cannot be reached, or refuses only
temporarily, the recipient is accepted; the delivery decides.
"""

from collections.abc import Awaitable

from gatepost.delivery.routes import Router
from gatepost.delivery.senders import as_sent
from gatepost.delivery.target import Target
from gatepost.model.decision import Decision, Verdict
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient, Transaction
from gatepost.net.inline import need_task
from gatepost.plugin.chain import Answer

NEXT_HOP = "next hop"


def uses_call_ahead(router: Router) -> bool:
    """Return whether the next hop of any route can be asked."""
    return any(route.target.can_verify for route in router.routes)


def call_ahead(router: Router, tx: Transaction, rcpt: Recipient) -> Awaitable[Answer | None] | None:
    """Return the pending answer of a recipient's next hop.

    It is None if the next hop cannot be asked, or is known to accept the recipient. A recipient
    that a plugin has replaced is not asked about: it may exist only here.
    """
    if tx.acting is not None and tx.acting.is_replaced(rcpt):
        return None
    route = router.route(rcpt)
    if route is None or not route.target.can_verify:
        return None
    tx = as_sent(tx, [rcpt])
    known = route.target.known_reply(tx, rcpt)
    if known is None:
        return _ask(route.target, tx, rcpt)
    return None if known[0] is None else _refused(known[0])


async def _ask(target: Target, tx: Transaction, rcpt: Recipient) -> Answer | None:
    await need_task()
    reply = await target.verify(tx, rcpt)
    return None if reply is None else await _refused(reply)


async def _refused(reply: Reply) -> Answer:
    decision = Decision(Verdict.DENY, reply.text, reply.code, reply.enhanced, "next-hop-refuses")
    return Answer(decision, NEXT_HOP)
