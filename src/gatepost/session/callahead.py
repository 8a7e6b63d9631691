"""Whether the next hop takes a recipient: asked at RCPT, so that nothing has to be bounced later.

A refusal of the next hop is the client's answer. Where it cannot say – it is not reached, or only
refuses for now – the recipient is taken: the message itself will show.
"""

from collections.abc import Awaitable
from typing import Any

from gatepost.delivery.routes import Router
from gatepost.delivery.target import Route, Verifier
from gatepost.model.decision import Decision, Verdict
from gatepost.model.session import Recipient, Transaction
from gatepost.plugin.chain import Answer
from gatepost.plugin.inline import need_task

NEXT_HOP = "next hop"


def confirms(router: Router) -> bool:
    """Whether there is any route whose next hop can be asked."""
    return any(_verifier(route) for route in router.routes)


def confirmation(
    router: Router, tx: Transaction, rcpt: Recipient
) -> Awaitable[Answer | None] | None:
    """Return what asks this recipient's next hop; None where it cannot be asked."""
    verifier: Verifier | None = _verifier(router.route(rcpt))
    return None if verifier is None else _ask(verifier, tx, rcpt)


def _verifier(route: Route | None) -> Any:
    """Return the route's target if it can ask its next hop."""
    return None if route is None or not hasattr(route.target, "verify") else route.target


async def _ask(verifier: Verifier, tx: Transaction, rcpt: Recipient) -> Answer | None:
    await need_task()
    reply = await verifier.verify(tx, rcpt)
    if reply is None:
        return None
    decision = Decision(Verdict.DENY, reply.text, reply.code, reply.enhanced, "next-hop-refuses")
    return Answer(decision, NEXT_HOP)
