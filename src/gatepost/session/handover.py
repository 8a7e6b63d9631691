"""The end of a message's way: its targets take it, and only then is the client told 250."""

from gatepost.delivery.target import Delivery, DeliveryError
from gatepost.model.reply import Reply
from gatepost.model.session import Transaction
from gatepost.plugin.inline import need_task
from gatepost.session.policy import Policy


async def hand_over(policy: Policy, tx: Transaction) -> Reply:
    """Deliver to every recipient; return the reply to the end of the message."""
    assert tx.message is not None
    try:
        for target, recipients in policy.router.split(tx.recipients):
            pending = target.deliver(Delivery(tx, recipients, tx.message))
            if pending is not None:
                await need_task()
                await pending
    except DeliveryError as error:
        policy.log.warning(
            "not delivered", ref=tx.id, detail=error.detail, permanent=error.permanent
        )
        code, enhanced = (554, "5.3.0") if error.permanent else (451, "4.3.0")
        return Reply(code, error.text, enhanced).with_reference(tx.id)
    return accepted(tx)


def accepted(tx: Transaction) -> Reply:
    """Return the reply that takes responsibility for a message; it names it for later questions."""
    return Reply(250, f"Ok, {tx.id}", "2.0.0")
