"""One attempt: a message from the spool to the targets of its recipients' current routes.

Damaged content breaks off before its end, so that no target accepts it. The damage is then the
reason of the failure, not the error that a target reports.

Limits: LONGEST seconds, then the delivery is cancelled. Targets have shorter limits of their own.
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from gatepost.delivery.route import Route
from gatepost.delivery.target import Delivery, DeliveryError
from gatepost.log.logger import get_logger
from gatepost.log.render import format_traceback
from gatepost.model.facts import set_fact
from gatepost.model.message import Message
from gatepost.model.session import Recipient
from gatepost.net.inline import need_task
from gatepost.queue.dsn.notify import Action, success_actions
from gatepost.queue.routing import Routed
from gatepost.queue.spool import records
from gatepost.queue.spool.records import DeliveryJob, QueuedRecipient
from gatepost.queue.spool.sql.content import ContentReader, DamagedContentError

LONGEST = 3600.0

_log = get_logger("gatepost.queue")

_NONE: Final[Mapping[Recipient, DeliveryError]] = {}
_NO_ROUTE = "A recipient's mail cannot be delivered now"
_FAILED = "The message could not be delivered"


class AttemptOutcome(NamedTuple):
    """The outcome of an attempt: the recipients that failed, each with its error.

    `successes` are the delivered recipients for which the sender requested a success DSN.
    """

    failures: Mapping[QueuedRecipient, DeliveryError]
    successes: Mapping[QueuedRecipient, Action] = {}

    @property
    def damage(self) -> "DamagedMessageError | None":
        """The error of a damaged message, None if it is intact."""
        if not self.failures:
            return None
        damages = (one for one in self.failures.values() if isinstance(one, DamagedMessageError))
        return next(damages, None)


# The outcome of nearly all attempts.
_DELIVERED: Final = AttemptOutcome({})


class DamagedMessageError(DeliveryError):
    """The content of the message in the spool is damaged."""

    def __init__(self, damage: DamagedContentError) -> None:
        super().__init__(_FAILED, permanent=True, detail=f"damaged: {damage}")


class _StoredContent:
    """The content of a message in the spool, and the damage that was found in it."""

    def __init__(self, job: DeliveryJob, reader: ContentReader) -> None:
        self._job = job
        self._reader = reader
        self.damage: DamagedContentError | None = None

    def pieces(self) -> Iterator[bytes]:
        """Yield the content; raises and records `DamagedContentError`, raises other OSErrors."""
        job = self._job
        try:
            yield from self._reader.pieces(job.message, job.size, job.first, job.digest)
        except DamagedContentError as damage:
            self.damage = damage
            raise


async def attempt(job: DeliveryJob, routed: Routed, reader: ContentReader) -> AttemptOutcome:
    """Deliver a message by the current routes of its recipients; return the outcome.

    If the message is damaged, every failure is a `DamagedMessageError`.
    """
    queued = {one: found.queued for one, found in routed.items()}
    content = _StoredContent(job, reader)
    message = Message.stored(content.pieces, job.size)
    message.seal()
    tx = records.transaction(job.facts, list(routed))
    set_fact(tx, "message", message)
    failures: dict[Recipient, DeliveryError] = {}
    successes: dict[Recipient, Action] = {}
    for route, recipients in _by_route(routed).items():
        if route is None:
            failures |= dict.fromkeys(recipients, DeliveryError(_NO_ROUTE, detail="no route"))
            continue
        delivery = Delivery(tx, recipients, message)
        failed = await _deliver(route, delivery)
        if failed:
            failures |= failed
        actions = success_actions(route, delivery, failures)
        if actions:
            successes |= actions
    if not (failures or successes):
        return _DELIVERED
    if content.damage is not None:
        failures = dict.fromkeys(failures, DamagedMessageError(content.damage))
    return AttemptOutcome(
        {queued[one]: error for one, error in failures.items()},
        {queued[one]: action for one, action in successes.items()},
    )


def _by_route(routed: Routed) -> Mapping[Route | None, list[Recipient]]:
    shares: dict[Route | None, list[Recipient]] = {}
    for one, found in routed.items():
        shares.setdefault(found.route, []).append(one)
    return shares


async def _deliver(route: Route, delivery: Delivery) -> Mapping[Recipient, DeliveryError]:
    try:
        pending = route.target.deliver(delivery)
        if pending is None:
            return _NONE
        await need_task()
        async with asyncio.timeout(LONGEST):
            return await pending or _NONE
    except DeliveryError as error:
        failure = error
    except DamagedContentError as error:
        failure = DamagedMessageError(error)
    except TimeoutError:
        failure = DeliveryError(_FAILED, detail=f"{route.url}: timeout after {LONGEST:g} s")
    except Exception as error:  # noqa: BLE001 - a faulty target must not lose mail
        ref, trace = delivery.transaction.id, format_traceback(error)
        _log.error("delivery target failed", ref=ref, target=route.url, exception=trace)
        failure = DeliveryError(_FAILED, detail=f"{route.url}: {error!r}")
    return dict.fromkeys(delivery.recipients, failure)
