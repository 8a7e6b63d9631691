"""One attempt: a message out of the spool to the targets its recipients' routes name now.

Limits: LONGEST seconds, after which the delivery is cancelled; targets have limits of their own,
which are shorter.
"""

import asyncio
from collections.abc import Mapping
from functools import partial

import structlog

from gatepost.delivery.routes import Router
from gatepost.delivery.spool import records
from gatepost.delivery.spool.content import Reader
from gatepost.delivery.spool.records import QueuedRecipient, Work
from gatepost.delivery.target import Delivery, DeliveryError, Route
from gatepost.model.message import Message
from gatepost.model.session import Recipient

LONGEST = 3600.0

_log = structlog.get_logger("gatepost.queue")

_NO_ROUTE = "A recipient's mail cannot be delivered now"
_FAILED = "The message could not be delivered"

Failures = Mapping[QueuedRecipient, DeliveryError]


async def attempt(work: Work, router: Router, reader: Reader) -> Failures:
    """Deliver a message; return the recipients that do not have it, each with the reason."""
    known = {one.recipient(): one for one in work.recipients}
    pieces = partial(reader.pieces, work.message, work.size, work.first)
    message = Message.stored(pieces, work.size)
    tx = records.transaction(work.facts, list(known))
    tx.message = message
    failures: dict[Recipient, DeliveryError] = {}
    for route, recipients in _by_route(router, list(known)).items():
        if route is None:
            failures |= dict.fromkeys(recipients, DeliveryError(_NO_ROUTE, detail="no route"))
        else:
            failures |= await _deliver(route, Delivery(tx, recipients, message))
    return {known[one]: error for one, error in failures.items()}


def _by_route(
    router: Router, recipients: list[Recipient]
) -> Mapping[Route | None, list[Recipient]]:
    shares: dict[Route | None, list[Recipient]] = {}
    for one in recipients:
        shares.setdefault(router.route(one), []).append(one)
    return shares


async def _deliver(route: Route, delivery: Delivery) -> Mapping[Recipient, DeliveryError]:
    try:
        pending = route.target.deliver(delivery)
        if pending is None:
            return {}
        async with asyncio.timeout(LONGEST):
            return await pending or {}
    except DeliveryError as error:
        failure = error
    except TimeoutError:
        failure = DeliveryError(_FAILED, detail=f"{route.url}: no end in {LONGEST:g} s")
    except Exception as error:  # noqa: BLE001 - a target that is broken must not lose mail
        _log.exception("delivery failed", ref=delivery.transaction.id, target=route.url)
        failure = DeliveryError(_FAILED, detail=f"{route.url}: {error!r}")
    return dict.fromkeys(delivery.recipients, failure)
