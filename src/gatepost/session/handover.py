"""The end of a message's way: its targets take it, and only then is the client told 250.

Theory of operation
-------------------
SMTP has one reply for the whole message. Targets that are to have it at once are tried in turn; as
long as nobody has it, the first that does not take it ends the way, and the client knows why. Once
somebody has it there is no way back: what is left – recipients a target did not take, and those by
way of the queue – is put into the spool, and the client told 250. So a client that tries again
sends nothing twice. The queue goes on with what may be tried again, and sees to it that somebody is
told of the rest.

LMTP has one reply for each recipient (RFC 2033 section 4.2), so each target is tried and its
recipients have its answer. A route with a fallback leaves to the queue what its target cannot be
reached with.

A sender who has asked to be told of a success (RFC 3461) is told by way of the spool before the
client is told 250. If that cannot be written the message is taken all the same, and it is logged: a
notice is not worth a second copy.

Limits: where the spool takes nothing after a target has the message the answer is 451, and those
who have it get it again: a second copy is better than none.
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from gatepost.delivery.route import Route
from gatepost.delivery.target import Delivery, DeliveryError, Failures
from gatepost.model.reply import RecipientReplies, Reply
from gatepost.model.session import Recipient, Transaction
from gatepost.plugin.inline import need_task
from gatepost.queue.dsn.notify import SuccessDsn, successes, wants
from gatepost.queue.dsn.report import Action
from gatepost.session.setup import Setup

_NONE: Failures = {}


async def hand_over(setup: Setup, tx: Transaction) -> Reply:
    """Deliver to every recipient; return the reply to the end of the message."""
    taken, rest = False, dict[Recipient, DeliveryError | None]()
    told: dict[Recipient, Action] = {}
    try:
        for route, recipients in setup.router.split(tx.recipients):
            if route.mode == "queue":
                rest.update(dict.fromkeys(recipients))
                continue
            failures = await _offer(route, tx, recipients, told)
            taken = taken or len(failures) < len(recipients)
            if not (taken or _may_wait(route, failures)):
                return _not_delivered(setup, tx, failures)
            rest.update(failures)
        if rest:
            await _spool(setup, tx, rest)
    except DeliveryError as error:
        return _not_delivered(setup, tx, dict.fromkeys(rest or tx.recipients, error))
    if told:
        await _report(setup, tx, told)
    return accepted(tx)


async def hand_over_each(setup: Setup, tx: Transaction) -> Reply:
    """Deliver to every recipient; return what each has for an answer, one reply if it is the same.

    Those not delivered to are moved to the transaction's refused recipients.
    """
    results = dict.fromkeys(tx.recipients, accepted(tx))
    told: dict[Recipient, Action] = {}
    try:
        for route, recipients in setup.router.split(tx.recipients):
            failures = await _offer_or_spool(setup, route, tx, recipients, told)
            for rcpt, error in failures.items():
                results[rcpt] = _not_delivered(setup, tx, {rcpt: error})
    except DeliveryError as error:
        return _not_delivered(setup, tx, dict.fromkeys(tx.recipients, error))
    if told:
        await _report(setup, tx, told)
    replies = [results[one] for one in tx.recipients]
    _refuse(tx, results)
    return replies[0] if len(set(replies)) == 1 else RecipientReplies(replies)


async def taken(setup: Setup, tx: Transaction) -> Reply:
    """Answer for a message that a plugin has taken, and who knows what for."""
    told: dict[Recipient, Action] = {
        one: "relayed" for one in tx.recipients if one.params and wants(one.params, "relayed")
    }
    if told:
        await _report(setup, tx, told)
    return accepted(tx)


async def _offer(
    route: Route, tx: Transaction, recipients: list[Recipient], told: dict[Recipient, Action]
) -> Failures:
    """Hand a message to a route's target; return the recipients whose mail was not taken.

    Adds to `told` those of whose success the sender is to be told.
    """
    assert tx.message is not None
    delivery, failures = Delivery(tx, recipients, tx.message), _NONE
    try:
        pending = route.target.deliver(delivery)
        if pending is not None:
            await need_task()
            failures = await pending or _NONE
    except DeliveryError as error:
        return dict.fromkeys(recipients, error)
    told.update(successes(route, delivery, failures))
    return failures


async def _offer_or_spool(
    setup: Setup,
    route: Route,
    tx: Transaction,
    recipients: list[Recipient],
    told: dict[Recipient, Action],
) -> Failures:
    """Do the same, or put it into the spool if that is the route's way, or its fallback."""
    rest: dict[Recipient, DeliveryError | None] = dict.fromkeys(recipients)
    if route.mode == "direct":
        failures = await _offer(route, tx, recipients, told)
        if not (failures and _may_wait(route, failures)):
            return failures
        rest = dict(failures)
    try:
        await _spool(setup, tx, rest)
    except DeliveryError as error:
        return dict.fromkeys(rest, error)
    return _NONE


def _may_wait(route: Route, failures: Failures) -> bool:
    """Whether the queue is to go on with what a target did not take: nobody was there to ask."""
    return route.fallback and not any(
        error.permanent or error.answered for error in failures.values()
    )


async def _spool(
    setup: Setup, tx: Transaction, rest: Mapping[Recipient, DeliveryError | None]
) -> None:
    """Leave recipients to the queue, with what came of them so far; raises `DeliveryError`."""
    failures = {rcpt: error for rcpt, error in rest.items() if error is not None}
    if setup.spool is None or tx.message is None:
        no_queue = DeliveryError("The message could not be stored", detail="the queue does not run")
        raise next(iter(failures.values()), no_queue)
    await need_task()
    await setup.spool.put(tx, list(rest), tx.message, failures)


async def _report(setup: Setup, tx: Transaction, told: SuccessDsn) -> None:
    """Have the sender told of those whose mail was taken."""
    problem = "the queue does not run"
    if setup.spool is not None and tx.message is not None:
        await need_task()
        try:
            await setup.spool.report(tx, tx.message, told)
        except DeliveryError as error:
            problem = error.detail
        else:
            return
    setup.log.warning("sender not told", ref=tx.id, detail=problem)


def _refuse(tx: Transaction, results: dict[Recipient, Reply]) -> None:
    """Count those whose target did not take the message among the refused."""
    for rcpt, reply in results.items():
        if reply.code >= 400:
            rcpt.reply = reply
            tx.refused.append(rcpt)
    tx.recipients = [one for one in tx.recipients if results[one].code < 400]


HAND_OVER: dict[str, Callable[[Setup, Transaction], Coroutine[Any, Any, Reply]]] = {
    "smtp": hand_over,
    "lmtp": hand_over_each,
}


def _not_delivered(setup: Setup, tx: Transaction, failures: Failures) -> Reply:
    """Log whose mail was not taken; return the reply: the first reason stands for all."""
    error = next(iter(failures.values()))
    setup.log.warning(
        "not delivered",
        ref=tx.id,
        recipients=[str(one.address) for one in failures],
        detail=error.detail,
        permanent=error.permanent,
    )
    return error.as_reply().with_reference(tx.id)


def accepted(tx: Transaction) -> Reply:
    """Return the reply that takes responsibility for a message; it names it for later questions."""
    return Reply(250, f"Ok, {tx.id}", "2.0.0")
