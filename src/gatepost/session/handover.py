"""The delivery of a message: the client is answered 250 only when the targets have it.

Theory of operation
-------------------
SMTP has one reply for the whole message. Routes in direct mode are tried in turn. As long as no
target has the message, the first failure ends the delivery and is the reply. Once a target has it,
the remaining recipients – of failed targets and of routes by way of the queue – go to the spool and
the reply is 250. A client that tries again therefore sends no duplicate. The queue retries what can
be retried, and sends a DSN for the rest.

LMTP has one reply for each recipient (RFC 2033 section 4.2): each target is tried, and its
recipients have its reply. A route with a fallback leaves recipients to the queue if its target
cannot be reached. Recipients that plugins have added have no reply: they go to the queue if they
fail.

The client is answered about the recipients that it has named, whatever plugins put in their place
(`gatepost.model.actions`). A quarantined message is held in the queue for all recipients.

Recipients with different senders (`tx.change_sender`) are deliveries of their own, also by the same
route.

If the sender has asked for a DSN of success (RFC 3461), it is queued before the reply. If that
fails the message is accepted all the same and the failure is recorded: a DSN is not worth a
duplicate.

Limits: if the spool fails after a target has the message the reply is 451, and recipients of that
target get a duplicate. A duplicate is better than a loss.
"""

from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from typing import Any, Final

from gatepost.delivery.route import Route
from gatepost.delivery.senders import as_sent, by_sender
from gatepost.delivery.target import Delivery, DeliveryError, Failures
from gatepost.model.fact_list import FactList
from gatepost.model.facts import keep, set_fact
from gatepost.model.reply import RecipientReplies, Reply
from gatepost.model.session import Hold, Recipient, Transaction
from gatepost.net.inline import need_task
from gatepost.queue.dsn.notify import Action, SuccessActions, is_requested, success_actions
from gatepost.session.setup import Setup

Result = Reply | Coroutine[Any, Any, Reply]
# The recipients that failed, or what ends with them.
Outcome = Failures | Coroutine[Any, Any, Failures]
Shares = Sequence[tuple[Route, list[Recipient]]]

_NONE: Final[Failures] = {}


def hand_over(setup: Setup, tx: Transaction) -> Result:
    """Deliver to every recipient; return the reply to the end of the message.

    If one target takes the message for all of them and has nothing to wait for, there is no
    coroutine.
    """
    reports: dict[Recipient, Action] = {}
    try:
        shares = _shares(setup, tx)
    except DeliveryError as error:
        return _not_delivered(setup, tx, dict.fromkeys(tx.recipients, error))
    if len(shares) != 1 or shares[0][0].mode == "queue":
        return _hand_over(setup, tx, shares, reports)
    [(route, recipients)] = shares
    outcome = _deliver(route, tx, recipients, reports)
    if outcome is _NONE and not reports:
        return accepted(tx)
    return _hand_over(setup, tx, shares, reports, outcome)


def _shares(setup: Setup, tx: Transaction) -> Shares:
    """Return each route with recipients that have the same sender; raises `DeliveryError`."""
    shares = setup.router.split(tx.recipients)
    if tx.acting is None or not tx.acting.has_senders:
        return shares
    return [(route, some) for route, all_of_it in shares for _, some in by_sender(tx, all_of_it)]


async def _hand_over(
    setup: Setup,
    tx: Transaction,
    shares: Shares,
    reports: dict[Recipient, Action],
    first: Outcome | None = None,
) -> Reply:
    """Deliver to each route's recipients; `first` is the outcome of the first, if it has begun."""
    taken, rest = False, dict[Recipient, DeliveryError | None]()
    try:
        for route, recipients in shares:
            if route.mode == "queue":
                rest.update(dict.fromkeys(recipients))
                continue
            outcome = _deliver(route, tx, recipients, reports) if first is None else first
            failures = outcome if isinstance(outcome, Mapping) else await outcome
            taken = taken or len(failures) < len(recipients)
            if not (taken or _may_queue(route, failures)):
                return _not_delivered(setup, tx, failures)
            rest.update(failures)
        if rest:
            await _spool(setup, tx, rest)
    except DeliveryError as error:
        return _not_delivered(setup, tx, dict.fromkeys(rest or tx.recipients, error))
    if reports:
        await _report(setup, tx, reports)
    return accepted(tx)


async def hand_over_each(setup: Setup, tx: Transaction) -> Reply:
    """Deliver to every recipient; return a reply for each, or one reply if all are the same.

    Recipients without delivery move to the transaction's refused recipients.
    """
    results = dict.fromkeys(tx.recipients, accepted(tx))
    reports: dict[Recipient, Action] = {}
    failed: dict[Recipient, DeliveryError] = {}
    try:
        for route, recipients in _shares(setup, tx):
            failed |= await _deliver_or_spool(setup, route, tx, recipients, reports)
        await _spool_added(setup, tx, failed)
    except DeliveryError as error:
        reply = _not_delivered(setup, tx, dict.fromkeys(tx.recipients, error))
        results = dict.fromkeys(tx.recipients, reply)
    for rcpt, failure in failed.items():
        results[rcpt] = _not_delivered(setup, tx, {rcpt: failure})
    if reports:
        await _report(setup, tx, reports)
    reply = _in_one(results) if tx.acting is None else tx.acting.replies(results, accepted(tx))
    _refuse(tx, results)
    return reply


def _in_one(results: Mapping[Recipient, Reply]) -> Reply:
    """Return the replies to the recipients, as one if they are the same."""
    replies = list(results.values())
    return replies[0] if len(set(replies)) == 1 else RecipientReplies(replies)


async def _spool_added(
    setup: Setup, tx: Transaction, failed: dict[Recipient, DeliveryError]
) -> None:
    """Put failed recipients that plugins have added into the queue: the client gets no reply.

    Raises `DeliveryError`: a duplicate is better than a loss.
    """
    added = {one: error for one, error in failed.items() if one.added}
    if added:
        await _spool(setup, tx, added)
        for one in added:
            del failed[one]


async def quarantine(setup: Setup, tx: Transaction, hold: Hold) -> Reply:
    """Hold the message for every recipient; return the reply to the end of the message."""
    try:
        await _spool(setup, tx, dict.fromkeys(tx.recipients), hold)
    except DeliveryError as error:
        return _not_delivered(setup, tx, dict.fromkeys(tx.recipients, error))
    return _in_full(tx)


def _in_full(tx: Transaction) -> Reply:
    """Return the reply to a message that was taken for all recipients that are not refused."""
    reply, acting = accepted(tx), tx.acting
    if acting is None or acting.named is None or not acting.each:
        return reply
    return acting.replies({}, reply)


async def taken(setup: Setup, tx: Transaction) -> Reply:
    """Return the reply to a message that a plugin has taken over."""
    reports: dict[Recipient, Action] = {
        one: "relayed"
        for one in tx.recipients
        if one.params and is_requested(one.params, "relayed")
    }
    if reports:
        await _report(setup, tx, reports)
    return _in_full(tx)


def _deliver(
    route: Route, tx: Transaction, recipients: list[Recipient], reports: dict[Recipient, Action]
) -> Outcome:
    """Deliver to a route's target; return the recipients that failed, or what ends with them.

    Adds the recipients that need a DSN of success to `reports`.
    """
    assert tx.message is not None
    delivery = Delivery(as_sent(tx, recipients), recipients, tx.message)
    try:
        pending = route.target.deliver(delivery)
    except DeliveryError as error:
        return dict.fromkeys(recipients, error)
    if pending is not None:
        return _deliver_later(route, delivery, pending, reports)
    reports.update(success_actions(route, delivery, _NONE))
    return _NONE


async def _deliver_later(
    route: Route,
    delivery: Delivery,
    pending: Awaitable[Failures | None],
    reports: dict[Recipient, Action],
) -> Failures:
    """Wait for a target; return and add the same."""
    try:
        await need_task()
        failures = await pending or _NONE
    except DeliveryError as error:
        return dict.fromkeys(delivery.recipients, error)
    reports.update(success_actions(route, delivery, failures))
    return failures


async def _deliver_or_spool(
    setup: Setup,
    route: Route,
    tx: Transaction,
    recipients: list[Recipient],
    reports: dict[Recipient, Action],
) -> Failures:
    """Do the same, or put the message into the spool, by the route's mode or as its fallback."""
    rest: dict[Recipient, DeliveryError | None] = dict.fromkeys(recipients)
    if route.mode == "direct":
        outcome = _deliver(route, tx, recipients, reports)
        failures = outcome if isinstance(outcome, Mapping) else await outcome
        if not (failures and _may_queue(route, failures)):
            return failures
        rest = dict(failures)
    try:
        await _spool(setup, tx, rest)
    except DeliveryError as error:
        return dict.fromkeys(rest, error)
    return _NONE


def _may_queue(route: Route, failures: Failures) -> bool:
    """Return whether the queue retries: the target could not be reached, and gave no answer."""
    return route.fallback and not any(
        error.permanent or error.answered for error in failures.values()
    )


async def _spool(
    setup: Setup,
    tx: Transaction,
    rest: Mapping[Recipient, DeliveryError | None],
    hold: Hold | None = None,
) -> None:
    """Put recipients into the queue, with their failures so far; raises `DeliveryError`.

    With `hold` they are held there.
    """
    failures = {rcpt: error for rcpt, error in rest.items() if error is not None}
    spool = setup.queue if hold is None else setup.spool
    if spool is None or tx.message is None:
        no_queue = DeliveryError("The message could not be stored", detail="the queue does not run")
        raise next(iter(failures.values()), no_queue)
    await need_task()
    await spool.put(tx, list(rest), tx.message, failures, hold=hold)


async def _report(setup: Setup, tx: Transaction, reports: SuccessActions) -> None:
    """Queue the DSN of success."""
    problem = "the queue does not run"
    if setup.queue is not None and tx.message is not None:
        await need_task()
        try:
            await setup.queue.report_successes(tx, tx.message, reports)
        except DeliveryError as error:
            problem = error.detail
        else:
            return
    setup.recorder.dsn_not_queued(tx.id, problem)


def _refuse(tx: Transaction, results: dict[Recipient, Reply]) -> None:
    """Move recipients whose target failed to the refused ones."""
    for rcpt, reply in results.items():
        if reply.code >= 400:
            set_fact(rcpt, "reply", reply)
            keep(tx, "refused", rcpt)
    kept = FactList(one for one in tx.recipients if results[one].code < 400)
    set_fact(tx, "recipients", kept)


def _not_delivered(setup: Setup, tx: Transaction, failures: Failures) -> Reply:
    """Record the failures; return the reply: the first reason stands for all."""
    error = next(iter(failures.values()))
    setup.recorder.not_delivered(tx, failures)
    return error.as_reply().with_reference(tx.id)


def accepted(tx: Transaction) -> Reply:
    """Return the reply that accepts a message; it names the transaction."""
    return Reply(250, f"Ok, {tx.id}", "2.0.0")
