"""The end of a message's way: its targets take it, and only then is the client told 250.

SMTP has one reply for the whole message: the first target that does not take it ends the way. LMTP
has one for each recipient (RFC 2033 section 4.2), so each target is tried and its recipients have
its answer. What goes by way of the queue is taken when the spool has it.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from gatepost.delivery.target import Delivery, DeliveryError, Failures, Route
from gatepost.model.reply import RecipientReplies, Reply
from gatepost.model.session import Recipient, Transaction
from gatepost.plugin.inline import need_task
from gatepost.session.policy import Policy


async def hand_over(policy: Policy, tx: Transaction) -> Reply:
    """Deliver to every recipient; return the reply to the end of the message."""
    assert tx.message is not None
    recipients = tx.recipients
    try:
        for route, recipients in policy.router.split(tx.recipients):
            pending = _deliver(policy, route, Delivery(tx, recipients, tx.message))
            if pending is not None:
                await need_task()
                for error in (await pending or {}).values():
                    raise error
    except DeliveryError as error:
        return _not_delivered(policy, tx, recipients, error)
    return accepted(tx)


async def hand_over_each(policy: Policy, tx: Transaction) -> Reply:
    """Deliver to every recipient; return what each has for an answer, one reply if it is the same.

    Those not delivered to are moved to the transaction's refused recipients.
    """
    try:
        shares = policy.router.split(tx.recipients)
    except DeliveryError as error:
        return _not_delivered(policy, tx, tx.recipients, error)
    results: dict[Recipient, Reply] = {}
    for route, recipients in shares:
        assert tx.message is not None
        results |= dict.fromkeys(recipients, accepted(tx))
        failures: Failures | None = None
        try:
            pending = _deliver(policy, route, Delivery(tx, recipients, tx.message))
            if pending is not None:
                await need_task()
                failures = await pending
        except DeliveryError as error:
            failures = dict.fromkeys(recipients, error)
        for rcpt, failure in (failures or {}).items():
            results[rcpt] = _not_delivered(policy, tx, [rcpt], failure)
    replies = [results[one] for one in tx.recipients]
    _refuse(tx, results)
    return replies[0] if len(set(replies)) == 1 else RecipientReplies(replies)


def _deliver(
    policy: Policy, route: Route, delivery: Delivery
) -> "Awaitable[Failures | None] | None":
    """Hand a message to a route's target, or to the spool where the route says so."""
    if route.mode == "direct":
        return route.target.deliver(delivery)
    if policy.spool is None:
        raise DeliveryError("The message could not be stored", detail="the queue does not run")
    return policy.spool.put(delivery.transaction, delivery.recipients, delivery.message)


def _refuse(tx: Transaction, results: dict[Recipient, Reply]) -> None:
    """Count those whose target did not take the message among the refused."""
    for rcpt, reply in results.items():
        if reply.code >= 400:
            rcpt.reply = reply
            tx.refused.append(rcpt)
    tx.recipients = [one for one in tx.recipients if results[one].code < 400]


HAND_OVER: dict[str, Callable[[Policy, Transaction], Coroutine[Any, Any, Reply]]] = {
    "smtp": hand_over,
    "lmtp": hand_over_each,
}


def _not_delivered(
    policy: Policy, tx: Transaction, recipients: list[Recipient], error: DeliveryError
) -> Reply:
    policy.log.warning(
        "not delivered",
        ref=tx.id,
        recipients=[str(one.address) for one in recipients],
        detail=error.detail,
        permanent=error.permanent,
    )
    code, enhanced = (554, "5.3.0") if error.permanent else (451, "4.3.0")
    reply = error.reply or Reply(code, error.text, enhanced)
    return reply.with_reference(tx.id)


def accepted(tx: Transaction) -> Reply:
    """Return the reply that takes responsibility for a message; it names it for later questions."""
    return Reply(250, f"Ok, {tx.id}", "2.0.0")
