"""One attempt: a message out of the spool to the targets its recipients' routes name now.

Content that is not what was put breaks off before its end, whoever reads it: no target takes it,
and what that target says of it is not the reason.

Limits: LONGEST seconds, after which the delivery is cancelled; targets have limits of their own,
which are shorter.
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import structlog

from gatepost.delivery.route import Route
from gatepost.delivery.routes import Router
from gatepost.delivery.target import Delivery, DeliveryError
from gatepost.model.message import Message
from gatepost.model.session import Recipient
from gatepost.queue.dsn.notify import successes
from gatepost.queue.dsn.report import Action
from gatepost.queue.spool import records
from gatepost.queue.spool.content import DamagedError, Reader
from gatepost.queue.spool.records import QueuedRecipient, Work

LONGEST = 3600.0

_log = structlog.get_logger("gatepost.queue")

_NO_ROUTE = "A recipient's mail cannot be delivered now"
_FAILED = "The message could not be delivered"


class Outcome(NamedTuple):
    """What came of an attempt: the recipients that do not have the message, each with the reason.

    `successes` are those that have it and of whom the sender wants to be told.
    """

    failures: Mapping[QueuedRecipient, DeliveryError]
    successes: Mapping[QueuedRecipient, Action] = {}


class UnreadableError(DeliveryError):
    """The message is not in the spool any more as it was put there, for nobody."""

    def __init__(self, damage: DamagedError) -> None:
        super().__init__(_FAILED, permanent=True, detail=f"damaged: {damage}")


class _Content:
    """What the spool has of a message, and what was found wrong with it."""

    def __init__(self, work: Work, reader: Reader) -> None:
        self._work = work
        self._reader = reader
        self.damage: DamagedError | None = None

    def pieces(self) -> Iterator[bytes]:
        """Yield the content; raises `DamagedError` and takes note of it, or another OSError."""
        work = self._work
        try:
            yield from self._reader.pieces(work.message, work.size, work.first, work.digest)
        except DamagedError as damage:
            self.damage = damage
            raise


async def attempt(work: Work, router: Router, reader: Reader) -> Outcome:
    """Deliver a message; return what came of it.

    If the message is damaged that is the reason, an `UnreadableError`, for all who do not have it.
    """
    known = {one.recipient(): one for one in work.recipients}
    content = _Content(work, reader)
    message = Message.stored(content.pieces, work.size)
    tx = records.transaction(work.facts, list(known))
    tx.message = message
    failures: dict[Recipient, DeliveryError] = {}
    told: dict[Recipient, Action] = {}
    for route, recipients in _by_route(router, list(known)).items():
        if route is None:
            failures |= dict.fromkeys(recipients, DeliveryError(_NO_ROUTE, detail="no route"))
        else:
            delivery = Delivery(tx, recipients, message)
            failures |= await _deliver(route, delivery)
            told |= successes(route, delivery, failures)
    if content.damage is not None:
        failures = dict.fromkeys(failures, UnreadableError(content.damage))
    return Outcome(
        {known[one]: error for one, error in failures.items()},
        {known[one]: action for one, action in told.items()},
    )


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
    except DamagedError as error:
        failure = UnreadableError(error)
    except TimeoutError:
        failure = DeliveryError(_FAILED, detail=f"{route.url}: no end in {LONGEST:g} s")
    except Exception as error:  # noqa: BLE001 - a target that is broken must not lose mail
        _log.exception("delivery failed", ref=delivery.transaction.id, target=route.url)
        failure = DeliveryError(_FAILED, detail=f"{route.url}: {error!r}")
    return dict.fromkeys(delivery.recipients, failure)
